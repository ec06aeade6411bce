"""Documents that share a shape become the events that they become one by one, byte for byte."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from hypothesis import assume, given
from hypothesis import strategies as st
from pymongo import MongoClient

from lbmigrate.ledger import by_shape
from lbmigrate.ledger.sources import CODECS, score
from lbmigrate.mongo import fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.values import shapes
from lbmigrate.values.brackets import is_nan
from lbmigrate.values.documents import one_after_another
from tests.apps import App, config, oid, task

WEIGHED = {
    "name": "tasks",
    "collection": "tasks",
    "action": "task_complete",
    "user": "userId",
    "at": ["completedAt", "stats.endedAt", {"path": "updatedAt", "exact": True}],
    "let": {
        "weight": {"path": "weight", "missing": 1},
        "rank": {"path": ["priority", "stats.rank"], "map": {"low": 1, "high": 3, "7": 7}, "default": 2},
        "took": {"between": ["createdAt", "completedAt"], "to": "minutes", "missing": 0},
    },
    "points": "weight * 10 + rank + minimum(floor(took), 20)",
    "points_range": [-100, 1_000_000],
    "meta": {"priority": "priority", "place": "stats.places.1", "all": "stats", "since": "createdAt"},
}
SIMPLE = {**WEIGHED, "let": {}, "points": 10, "points_range": None, "at": "completedAt"}
AS_TEXT = {**SIMPLE, "user": {"path": "userId", "as": "string"}}


@pytest.fixture(autouse=True)
def few() -> Iterator[None]:
    """Two documents are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "FEWEST", 2)
        yield


def context(rules: Document) -> Context:
    """Only the state is looked at, which is in memory."""
    with MongoClient[Document](connect=False, uuidRepresentation="standard") as nowhere, fake.client() as client:
        return App(nowhere["app"], config(rules), client["state"], clock=lambda: dt.datetime(2030, 1, 1)).context()


def encoded(documents: Sequence[Document]) -> bytes:
    return b"".join(bson.encode(document, codec_options=CODECS) for document in documents)


def outcome(scored: Any, together: Sequence[bytes] = ()) -> tuple[list[bytes], list[tuple[str, str]]]:
    """The events as bytes, and the rejects with their reasons."""
    events = [bson.encode(event, codec_options=CODECS) for event in scored.events]
    rejects = [(repr(reject.source_id), reject.reason) for reject in scored.rejects]
    return sorted([*events, *together]), sorted(rejects)


def ways(rules: Document, raw: bytes) -> tuple[Any, Any, int]:
    """What a batch comes to one by one, and by shape; and how many of its documents went together."""
    surroundings = context(rules)
    source = surroundings.config.sources[0]
    usual = outcome(score(surroundings, source, bson.decode_all(raw, CODECS)))
    made = by_shape.finished(surroundings, source, one_after_another(raw))
    if made is None:
        return usual, usual, 0
    together = [bytes(event.raw) for event in made.events()]
    return usual, outcome(score(surroundings, source, made.rest), together), len(made)


AT = dt.datetime(2025, 11, 3, 9, 30, 15, 123_000)
dates = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2029, 1, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
odd_dates = st.one_of(
    st.sampled_from([None, "2025-03-04T05:06:07Z", "today", 0, 1_700_000_000, 1.7e12, oid(7), True, float("nan")]),
    st.sampled_from([dt.datetime(1899, 12, 31), dt.datetime(2200, 1, 1), dt.datetime(2031, 1, 1), DatetimeMS(10**15)]),
)
texts = st.one_of(st.sampled_from(["low", "high", "7", "", " ", "ä", "\0", '"x', "{", "\ufffd"]), st.text(max_size=3))
numbers = st.one_of(
    st.integers(-3, 300), st.integers(-3, 300).map(Int64), st.floats(), st.just(Decimal128("1.5")), st.just(2**53 + 1)
)
odd = st.one_of(
    texts, numbers, odd_dates, st.sampled_from([Regex("a"), Timestamp(1, 2), uuid.UUID(int=5), b"x", Binary(b"x", 5)]),
    st.sampled_from([[], {}, [1], ["a", "b"], {"$ref": "a", "$id": 1}, {"a": {"b": [{"c": 1}]}}, Binary(b"y", 2)]),
)  # fmt: skip
ids = st.one_of(
    st.integers(0, 2**96 - 1).map(lambda number: ObjectId(f"{number:024x}")),
    texts,
    numbers.filter(lambda n: not is_nan(n)),
)
stats = st.fixed_dictionaries(
    {"rank": st.sampled_from([1, 7, "7"])},
    optional={"places": st.lists(st.one_of(st.integers(0, 9), texts), max_size=3), "endedAt": dates, "x": odd},
)


def usually(common: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: rare if n == 0 else common)


documents = st.fixed_dictionaries(
    {
        "_id": usually(st.integers(0, 2**30).map(oid), ids),
        "userId": usually(st.integers(1, 9).map(oid), st.one_of(ids, odd)),
    },
    optional={
        "completedAt": usually(dates, odd_dates),
        "updatedAt": usually(dates, odd_dates),
        "createdAt": usually(dates, odd_dates),
        "priority": usually(st.sampled_from(["low", "high"]), odd),
        "weight": usually(st.integers(1, 9), odd),
        "stats": usually(stats, odd),
    },
)  # fmt: skip


@pytest.mark.parametrize("rules", [WEIGHED, SIMPLE, AS_TEXT], ids=["weighed", "simple", "as text"])
@given(st.lists(documents, min_size=2, max_size=12, unique_by=lambda each: repr(each["_id"])))
def test_any_documents_become_the_events_that_they_become_one_by_one(rules, some):
    usual, found, _ = ways(rules, encoded(some))
    assert found == usual


@given(documents, st.lists(st.tuples(st.integers(0, 2**30), dates, st.integers(1, 9)), min_size=2, max_size=6))
def test_documents_of_any_one_shape_do(first, others):
    assume(isinstance(first["_id"], ObjectId))
    alike = [first, *({**first, "_id": oid(n), "completedAt": at, "userId": oid(owner)} for n, at, owner in others)]
    usual, found, _ = ways(WEIGHED, encoded(alike))
    assert found == usual


def test_documents_of_three_layouts_go_together_and_odd_ones_by_themselves():
    usual_ones = [task(n, priority=("low", "high", "medium")[n % 3]) for n in range(30)]
    odd_ones = [task(31, completedAt="2025-01-01T00:00:00Z"), task(32, userId=None), task(33, priority=Decimal128("1"))]
    usual, found, together = ways(SIMPLE, encoded([*usual_ones[:11], *odd_ones, *usual_ones[11:]]))
    assert found == usual
    assert together == 30
    assert len(found[1]) == 1


def test_a_text_that_is_not_utf_8_is_left_to_the_driver():
    some = [task(n, priority="näh") for n in range(4)]
    assert ways(SIMPLE, encoded(some))[2] == 4
    damaged = encoded([*some, task(5), task(6)]).replace("ä".encode(), b"\xc3\xc3", 1)
    with pytest.raises(BSONError):
        by_shape.finished(context(SIMPLE), context(SIMPLE).config.sources[0], one_after_another(damaged))
