"""Batches of documents as columns, against what bson itself decodes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId

from lbmigrate.records import Document
from lbmigrate.values import raw_bson

AT = dt.datetime(2025, 11, 3, 9, 30, 15, 123_000)


def batch(*documents: Document) -> bytes:
    return b"".join(map(bson.encode, documents))


def event(number: int, meta: Document | None = None, user: Any = None) -> Document:
    at = AT + dt.timedelta(days=number)
    return {"userId": user or ObjectId(f"{number:024x}"), "points": Int64(number), "createdAt": at, "meta": meta or {}}


@pytest.mark.parametrize("make", [lambda number: ObjectId(f"{number:024x}"), "user {:03}".format, Int64, int])
def test_columns_are_what_bson_decodes(make: Any) -> None:
    rows = [event(number, user=make(number)) for number in (3, 3, 1, 5, 7)]
    found = raw_bson.columns(batch(*rows))
    assert found is not None
    assert found["userId"].ids() == [row["userId"] for row in rows]
    assert found["points"].numbers().tolist() == [row["points"] for row in rows]
    assert found["createdAt"].numbers().view("datetime64[ms]").tolist() == [row["createdAt"] for row in rows]


@pytest.mark.parametrize("meta", [{}, {"reason": "voided"}, {"a": {"b": [1, "x"]}, "c": None}])
def test_a_sub_document_that_all_rows_have_is_handed_out(meta: Document) -> None:
    found = raw_bson.columns(batch(event(1, meta), event(2, meta)))
    assert found is not None
    assert found["meta"].document() == meta


@pytest.mark.parametrize(
    "odd",
    [
        event(2, {"reason": "rescored"}),  # as long as the other
        event(2, {"season": "restored"}),
        event(2),
        {**event(2, {"reason": "restored"}), "points": 2.0},
        {"points": Int64(1)},
    ],
)
def test_documents_of_different_shapes_are_no_columns(odd: Document) -> None:
    usual = event(1, {"reason": "restored"})
    assert raw_bson.columns(batch(usual, odd)) is None
    assert raw_bson.columns(batch(odd, usual)) is None


def test_booleans_are_read_as_such():
    found = raw_bson.columns(batch({"hidden": False}, {"hidden": True}))
    assert found is not None
    assert found["hidden"].truths().tolist() == [False, True]


@pytest.mark.parametrize("value", [None, 1.5, [1]])
def test_a_field_of_another_type_is_left_to_bson(value: Any) -> None:
    assert raw_bson.columns(batch({"a": value}, {"a": value})) is None


def test_a_name_that_comes_twice_is_left_to_bson():
    raw = bson.encode({"points": Int64(1), "pointz": Int64(2)}).replace(b"pointz", b"points")
    assert raw_bson.columns(raw + raw) is None
