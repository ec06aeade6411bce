"""What the rows of a verification hold: the verdict, and how far a full one is."""

from __future__ import annotations

from typing import Any

from lbmigrate.state.forms import (
    Form,
    is_anything,
    is_counts,
    is_list,
    is_names,
    is_number,
    is_object,
    is_text,
    is_whole,
    record,
)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_object, value))


def _is_mismatches(value: Any) -> bool:
    return _is_records(value) and all(is_text(each.get("kind")) and is_text(each.get("heals")) for each in value)


ANYTHING = Form("anything", is_anything)
LEVEL = Form("sample or full", lambda value: value in ("sample", "full"))
RECORDS, MISMATCHES = Form("a list of objects", _is_records), Form("a list of mismatches", _is_mismatches)
BOUND = record(
    "what a sample says: population, checked, wrong, confidence, rate, words", population=is_whole, checked=is_whole,
    wrong=is_whole, confidence=is_number, rate=is_number, words_=is_text,
)  # fmt: skip
TOTALS = record(
    "what a verification came to so far", kinds=is_counts, heals=is_counts, first=_is_mismatches,
    wrong_in=is_list, parts=_is_records, sums=is_list, points=is_list, pace=is_list, skipped=is_names,
    users=is_whole, entries=is_whole, documents=is_whole, pending=is_whole,
    findings=is_counts, later=is_names,
)  # fmt: skip
