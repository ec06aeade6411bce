"""Messages, help and pages are in words that anybody understands at first reading; `words` lists the messages."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.console.format import summary
from lbmigrate.records import Compared, Copied, Counts, Forgotten, Reconciled, Recounted, amount
from tests.docs.test_documents import DOCUMENTS
from tests.docs.words import COUNTED, messages, miscounted

# What was said once, and what is said instead.
PLAIN = {
    r"\bmend(s|ed|ing)?\b": "fix, correct, repair",
    r"\banew\b": "again, rebuild, restart, start over",
    r"\bfor good\b": "permanently",
    r"\b(is|be) no (time|length of time|part of a day)\b": "is not a valid time, duration, window",
    r"\bstopped at once\b": "interrupted",
    r"\bstays good\b": "completed work is saved",
    r"\basks before it writes\b": "needs confirmation",
    r"\bdid not tell\b": "missed",
    r"\bno more than asked\b": "results, warnings and errors only",
    r"\bor its like\b": "the list",
    r"\basks nobody to\b": "authentication is disabled",
    r"\bof the first of every\b": "top N of each",
    r"\bexit code wants\b": "what to do for each exit code",
    r"\bwithout a word\b": "without notice, without a message",
    r"\bletting go\b": "releasing",
    r"\bstretch(es)?\b": "range",
    r"\bclimbs?\b|\bdescends?\b": "apply, revert",
    r"\bvirgin\b": "untouched",
    r"\bvouch(es)?\b": "cover, verify",
    r"\bsign of life\b": "report",
}


def odd(text: str) -> list[str]:
    return [f"{found[0]} → {instead}" for word, instead in PLAIN.items() for found in [re.search(word, text)] if found]


def test_every_message_is_found_with_its_room():
    found = Counter(place.split("/")[0] for place, _ in messages())
    assert {"cli", "checks", "config", "console", "ledger", "migration", "verify"} <= found.keys()
    assert sum(found.values()) > 1000


def test_no_message_has_a_word_that_was_replaced():
    assert {place: odd(text) for place, text in messages() if odd(text)} == {}


def test_no_message_leaves_something_out_with_dots():
    assert {place: text for place, text in messages() if "…" in text} == {}


def test_no_page_has_a_word_that_was_replaced():
    pages = {page.name: odd(page.read_text("utf-8")) for page in DOCUMENTS if page.name != "CHANGELOG.md"}
    assert {name: found for name, found in pages.items() if found} == {}


PLURALS = r"((?!agrees|differs)\w+(?<![su])s|agree|differ)"


def test_a_count_is_written_beside_its_noun_by_amount():
    assert dict(miscounted()) == {}


@given(st.integers(), st.sampled_from(COUNTED))
def test_a_noun_is_in_the_singular_beside_one_and_never_else(number, noun):
    assert (amount(number, noun) == f"{number:,} {noun}") == (abs(number) == 1)


def test_plurals_are_written_as_they_are_spelled():
    written = {amount(2, noun) for noun in ("entry", "mismatch", "index", "process", "user", "day")}
    assert written == {"2 entries", "2 mismatches", "2 indexes", "2 processes", "2 users", "2 days"}


@pytest.mark.parametrize("kind", [Counts, Reconciled, Recounted, Compared, Copied, Forgotten])
@given(data=st.data())
def test_what_work_came_to_has_no_plural_beside_one(kind, data):
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(kind.__slots__), max_size=len(kind.__slots__)))
    assert not re.search(rf"(?<!-)\b1 {PLURALS}\b", summary(kind(*numbers)))
