"""Batches of changes: what has come meanwhile, in order, never more than memory has room for, each with its token."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from bson import Timestamp

from lbmigrate.live import reading
from lbmigrate.live.changes import Ended
from lbmigrate.live.reading import Reader

NOW = int(dt.datetime(2025, 1, 1, tzinfo=dt.UTC).timestamp())


class Stream:
    """Changes of documents with these ids, or what is raised instead; then it is quiet until it is closed."""

    def __init__(self, *keys):
        self.keys, self.given = list(keys), 0
        self.resume_token = {"_data": "start"}

    def try_next(self):
        if self.given == len(self.keys):
            self.resume_token = {"_data": "quiet"}
            return None
        key = self.keys[self.given]
        self.given += 1
        if isinstance(key, Exception):
            raise key
        kind = "dropDatabase" if key == "dropped" else "insert"
        place = {"operationType": kind, "ns": {"coll": "tasks"}, "documentKey": {"_id": key}}
        return {**place, "_id": {"_data": f"after {key}"[:20]}, "clusterTime": Timestamp(NOW, self.given)}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """However slow this machine is, a batch has all that comes before the stream is quiet."""
    monkeypatch.setattr(reading, "WINDOW", 30)


def batches(stream, number):
    with Reader(stream) as reader:
        return [reader.taken() for _ in range(number)]


def test_a_batch_has_what_is_there_with_the_token_after_it_and_then_it_is_quiet():
    (first, token), *rest = batches(Stream("a", "b", "a"), 3)
    assert (first.ids("tasks"), token) == (["a", "b"], {"_data": "after a"})
    assert [(batch.size, later) for batch, later in rest] == [(0, {"_data": "quiet"})] * 2


def test_a_batch_of_large_ids_is_short_and_the_next_one_goes_on_after_it():
    stream = Stream(*(f"{number}{'x' * 1_000_000}" for number in range(8)))
    assert [batch.size for batch, _ in batches(stream, 2)] == [4, 4]


def test_a_batch_ends_when_it_has_so_many_changes_and_none_is_lost(monkeypatch):
    monkeypatch.setattr(reading, "SIZE", 3)
    found = batches(Stream(*range(8)), 3)
    assert [batch.ids("tasks") for batch, _ in found] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [token for _, token in found] == [{"_data": f"after {last}"} for last in (2, 5, 7)]


def test_what_came_before_an_error_is_taken_first():
    with Reader(Stream("a", ValueError("odd"))) as reader:
        batch, token = reader.taken()
        assert (batch.ids("tasks"), token) == (["a"], {"_data": "after a"})
        with pytest.raises(ValueError, match="odd"):
            reader.taken()


def test_where_the_database_was_dropped_nothing_before_that_is_recorded():
    with Reader(Stream("a", "dropped")) as reader, pytest.raises(Ended):
        reader.taken()


def test_who_stops_taking_ends_the_reading(monkeypatch):
    monkeypatch.setattr(reading, "SIZE", 1)
    with Reader(Stream(*range(8))) as reader:
        reader.taken()
    assert not any(thread.name == "lbmigrate-changes" for thread in threading.enumerate())
