from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest
from bson import Binary, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.board.asked import CursorRefused, NumberRefused, Position, check_number, cursor_of, position_of
from lbmigrate.errors import UsageError

users = st.one_of(
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.text(min_size=1, max_size=50).filter(str.strip).filter(lambda text: text.isprintable()),
    st.integers(-(2**63), 2**63 - 1),
    st.uuids().map(Binary.from_uuid),
)
scores = st.integers(-(2**63) + 1, 2**63 - 1)
CURSOR = cursor_of("2025-W10", Position(120, ObjectId("6b07de66fb9301e45d8a19b3")))


@given(score=scores, user=users, period=st.text(max_size=20))
def test_a_cursor_reads_back_as_the_position_that_it_was_made_of(score: int, user: Any, period: str) -> None:
    cursor = cursor_of(period, Position(score, user))
    assert position_of(period, cursor) == Position(score, user)
    assert cursor.isascii()
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


def test_a_position_behind_a_uuid_reads_back_for_every_client() -> None:
    key = uuid.UUID(int=7)
    assert position_of("global", cursor_of("global", Position(1, key))).user == Binary.from_uuid(key)


@given(place=st.integers(0, len(CURSOR) - 1), letter=st.sampled_from("AbZ9-_=+/ é"))
def test_an_edited_cursor_is_refused(place: int, letter: str) -> None:
    edited = CURSOR[:place] + letter + CURSOR[place + 1 :]
    if base64_of(edited) != base64_of(CURSOR):
        with pytest.raises(CursorRefused, match="no cursor of a board") as caught:
            position_of("2025-W10", edited)
        assert caught.value.hint


def base64_of(text: str) -> bytes | None:
    """What a cursor decodes to; the last letter of base64 has bits that mean nothing."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


@pytest.mark.parametrize("odd", ["", "x", "ümlaut", "A" * 1_000_000, None, 7, b"x", {"$ne": ""}, ["x"]])
def test_what_is_no_cursor_is_refused(odd: Any) -> None:
    with pytest.raises(CursorRefused):
        position_of("global", odd)


def test_a_cursor_of_another_period_is_refused_with_that() -> None:
    with pytest.raises(CursorRefused, match="of another period than '2025-W11'"):
        position_of("2025-W11", CURSOR)


@pytest.mark.parametrize("odd", [-1, 1.5, "10", None, True, {"$gt": 0}])
def test_a_number_of_places_that_is_none_is_refused(odd: Any) -> None:
    with pytest.raises(NumberRefused, match="a whole number"):
        check_number(odd)


def test_every_refusal_is_an_error_of_use() -> None:
    assert issubclass(CursorRefused, UsageError)
    assert check_number(Int64(5)) == 5
