"""A chunk that fails: tried again where that may help, halved where it cannot, and never a document unaccounted for."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, BulkWriteError, ConnectionFailure, OperationFailure

from lbmigrate import commands
from lbmigrate.backfill import isolate
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import enter, events
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.fake import memory
from lbmigrate.records import Counts
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Scope
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION
from tests.apps import App, config, oid, pieces, task, user

every_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
TASKS = 23


def refused(document: dict[str, Any]) -> Exception:
    return events.EventRefused(f"{document['_id']} is refused")


def quota(document: dict[str, Any]) -> Exception:
    return OperationFailure("you are over your space quota", 8000)


class Server:
    """Stands before the ledger: refuses some sources always, and fails the next attempts altogether."""

    def __init__(self, insert: Any) -> None:
        self._insert = insert
        self.bad: dict[Any, Any] = {}
        self.failures: Iterator[bool] = iter(())
        self.calls = 0

    def insert(self, events: Any, documents: Any) -> Any:
        if events.name != EVENTS:
            return self._insert(events, documents)
        self.calls += 1
        bad = [document for document in documents if document["sourceId"] in self.bad]
        taken = self._insert(events, [document for document in documents if document not in bad])
        if next(self.failures, False):
            raise AutoReconnect("the connection broke after the write")
        if bad:
            raise self.bad[bad[0]["sourceId"]](bad[0])
        return taken


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Retries without waiting, on a server that fails to order."""
    server = Server(events.insert_new)
    monkeypatch.setattr(enter, "insert_new", server.insert)
    monkeypatch.setattr(isolate, "retrying", functools.partial(retrying, sleep=lambda _: None))
    return server


@pytest.fixture
def fresh(server: Server) -> Iterator[Any]:
    """Makes equal apps in a database of their own, ready to be backfilled."""
    with fake.client() as client:
        names = iter(f"app{number}" for number in range(10_000))

        def make(**backfill: Any) -> App:
            server.bad, server.failures = {}, iter(())
            database = client[next(names)]
            database["users"].insert_many([user(number) for number in (1, 2)])
            database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(TASKS)])
            app = App(database, config(backfill={"failing_share": 1.0, **backfill}))
            app.apply(STEPS[:2])
            return app

        yield make


def source(number: int) -> Any:
    return task(number)["_id"]


def global_scores(app: App) -> dict[Any, int]:
    return {entry["userId"]: entry["score"] for entry in app.entries().values() if entry["period"] == "global"}


def rejected(app: App) -> set[Any]:
    return {row["sourceId"] for row in app.database[REJECTS].find()}


@every_example
@given(bad=st.sets(st.integers(0, TASKS - 1)), size=st.integers(1, TASKS + 1))
@pytest.mark.slow
def test_exactly_the_documents_that_are_refused_become_rejects(fresh, server, bad, size):
    app = fresh(chunk_size=size)
    server.bad = {source(number): refused for number in bad}
    counts = app.backfill()
    assert rejected(app) == {source(number) for number in bad}
    assert {event["sourceId"] for event in app.events()} == {source(n) for n in range(TASKS) if n not in bad}
    assert counts.read == counts.emitted + counts.duplicates + counts.rejected == TASKS
    assert counts.rejected == len(bad)


def test_a_reject_says_which_document_it_was_and_why(fresh, server):
    app = fresh()
    server.bad = {source(7): refused}
    app.backfill()
    (row,) = app.database[REJECTS].find()
    assert (row["collection"], row["sourceId"]) == ("tasks", source(7))
    assert row["reason"].startswith(f"EventRefused: task_complete:{source(7)} is refused")


def test_only_the_chunk_with_the_bad_document_was_salvaged(fresh, server):
    app = fresh()
    server.bad = {source(7): refused}
    app.backfill()
    assert [row["salvaged"] for row in app.chunks()] == [False, True, False, False, False]


def test_one_bad_document_among_many_is_found_in_a_few_attempts(fresh, server):
    app = fresh(chunk_size=TASKS)
    server.bad = {source(7): refused}
    app.backfill()
    assert server.calls <= 2 * TASKS.bit_length() + 2


@every_example
@given(failures=st.lists(st.booleans(), max_size=30), size=st.integers(3, TASKS))
@pytest.mark.slow
def test_attempts_that_break_after_their_write_end_like_one_that_did_not(fresh, server, failures, size):
    app = fresh(chunk_size=size, attempts=100)
    server.failures = iter(failures)
    counts = app.backfill()
    assert counts.read == counts.emitted + counts.duplicates == TASKS
    assert global_scores(app) == {oid(1): 120, oid(2): 110}
    app.database["tasks"].insert_many([task(number, owner=2) for number in range(TASKS, TASKS + 10)])
    server.failures = iter(failures)
    app.backfill()
    assert len(app.events()) == TASKS + 10
    assert global_scores(app) == {oid(1): 120, oid(2): 210}


def test_attempts_are_bounded_and_the_chunk_that_failed_is_kept_for_the_next_run(fresh, server):
    app = fresh(attempts=3)
    server.failures = iter([False] + [True] * 100)
    with pytest.raises(ConnectionFailure, match="broke after the write"):
        app.backfill()
    assert server.calls == 1 + 3 + 3  # the first chunk, the one that failed, and the one that was begun meanwhile
    assert [row["status"] for row in app.chunks()][:2] == ["emitted", "failed"]
    failed = app.chunks(status="failed")[0]
    assert "broke" in failed["error"]
    server.failures = iter(())
    app.backfill()
    assert len(app.events()) == TASKS
    assert {row["status"] for row in app.chunks()} == {"rolled"}
    assert app.chunks(_id=failed["_id"])[0]["attempts"] == 4


def test_an_error_that_is_no_documents_fault_stops_the_run_and_rejects_nothing(fresh, server):
    app = fresh()
    server.bad = {source(7): quota}
    with pytest.raises(OperationFailure, match="quota"):
        app.backfill()
    assert app.database[REJECTS].count_documents({}) == 0
    assert [row["status"] for row in app.chunks()][:2] == ["emitted", "failed"]
    server.bad = {}
    app.backfill()
    assert len(app.events()) == TASKS


@pytest.mark.parametrize(
    ("collection", "write"),
    [(EVENTS, "insert_many"), (ENTRIES, "insert_many"), (ENTRIES, "bulk_write"), (COLLECTION, "bulk_write")],
)
def test_a_write_that_no_majority_had_and_that_was_undone_is_made_again(fresh, monkeypatch, collection, write):
    app = fresh(chunk_size=TASKS)
    app.database["tasks"].create_index("updatedAt")
    app.backfill()
    app.database["tasks"].insert_many([task(number) for number in range(TASKS, 2 * TASKS)])
    app.database["users"].insert_one(user(3))
    app.database["tasks"].insert_one(task(2 * TASKS, owner=3))
    original, undone = getattr(memory._Collection, write), iter([True])

    def undo(self: Any, *arguments: Any, **options: Any) -> Any:
        if self.name == collection and next(undone, False):
            raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "late"}]})
        return original(self, *arguments, **options)

    monkeypatch.setattr(memory._Collection, write, undo)
    app.backfill()
    assert next(undone, None) is None, "it was undone"
    assert len(app.events()) == 2 * TASKS + 1
    assert global_scores(app) == {oid(1): 350, oid(2): 110, oid(3): 10}
    assert {row["status"] for row in app.chunks()} == {"rolled"}


def test_a_server_that_refuses_every_event_for_its_own_reasons_does_not_fill_the_rejects(fresh, monkeypatch):
    app = fresh()

    def full(self: Any, documents: Any, **options: Any) -> Any:
        errors = [{"index": 0, "code": 8000, "errmsg": "over your space quota", "op": documents[0]}]
        raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})

    with monkeypatch.context() as patched:
        patched.setattr(memory._Collection, "insert_many", full)
        with pytest.raises(BulkWriteError):
            app.backfill()
    assert rejected(app) == set()
    assert app.backfill().rejected == 0
    assert len(app.events()) == TASKS


# --- the circuit -------------------------------------------------------------------------------------------------


def test_too_many_bad_documents_stop_the_run(fresh, server):
    app = fresh(chunk_size=2, failing_share=0.4)
    server.bad = {source(number): refused for number in (1, 2, 5, 6, 9)}
    with pytest.raises(LbmigrateError, match=r"5 of 10 documents .* allows 40%") as caught:
        app.backfill(workers=1)  # so that they end in order
    assert "lbmigrate_rejects" in caught.value.hint
    assert app.chunks(status="emitted"), "what was checkpointed stays good"
    assert not app.chunks(status="failed")
    assert caught.value.hint.endswith("correct the config or the documents, then: lbmigrate backfill --full")
    server.bad = {}
    app.backfill(scope=Scope(full=True))
    assert len(app.events()) == TASKS


def test_one_bad_document_in_every_chunk_stops_nobody_as_long_as_they_are_few(fresh, server):
    app = fresh(chunk_size=3, failing_share=0.4)
    server.bad = {source(number): refused for number in range(0, TASKS, 3)}  # 8 of 23, in 8 of 8 chunks
    assert app.backfill().rejected == 8


def test_a_few_chunks_do_not_make_a_share(fresh, server):
    app = fresh(chunk_size=8, failing_share=0.1)
    server.bad = {source(number): refused for number in (1, 10, 20)}  # in all three chunks
    assert app.backfill().rejected == 3


# --- sources that are not what they were -------------------------------------------------------------------------


def test_a_source_that_is_dropped_in_the_middle_stops_the_run_with_its_name(fresh):
    app = fresh()
    rest = pieces(STEPS[3], app.context())
    next(piece for piece in rest if piece.counts)
    app.database.drop_collection("tasks")
    with pytest.raises(LbmigrateError, match=r"tasks: collection 'tasks' is gone") as caught:
        list(rest)
    assert caught.value.hint == "lbmigrate plan"
    assert len(app.events()) >= 5, "what was checkpointed stays good"
    gone = commands.plan(Connection(app.database.client, app.config, app.database, app.database, app.state))
    assert "does not exist" in next(each.fact for each in gone.findings if each.level == "refusal")
    app.database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(TASKS)])
    app.backfill()
    assert len(app.events()) == TASKS, "it goes on when the collection is back"


def test_documents_deleted_from_a_source_are_no_reason_to_stop(fresh):
    app = fresh()
    rest = pieces(STEPS[3], app.context())
    next(rest)
    app.database["tasks"].delete_many({"_id": {"$lt": source(12)}})
    list(rest)
    assert {event["sourceId"] for event in app.events()} >= {source(number) for number in range(12, TASKS)}


def test_a_document_that_changes_after_its_chunk_was_planned_is_read_by_the_next_pass_at_the_latest(fresh):
    app = fresh()
    tasks = app.database["tasks"]
    tasks.create_index("updatedAt")
    app.backfill()
    tasks.insert_many([task(number) for number in range(100, 120)])
    rest = pieces(STEPS[3], app.context())
    next(piece for piece in rest if piece.counts)
    tasks.update_one({"_id": source(119)}, {"$set": {"updatedAt": task(130)["updatedAt"]}})  # beyond the frozen bounds
    list(rest)
    assert source(119) not in {event["sourceId"] for event in app.events()}
    app.backfill()
    assert {event["sourceId"] for event in app.events()} >= {source(number) for number in range(100, 120)}


def test_nothing_at_all_is_a_result_too(fresh):
    app = fresh()
    app.database["tasks"].delete_many({})
    assert app.backfill() == Counts()
    assert app.events() == []
    assert oid(1) not in {entry["userId"] for entry in app.entries().values()}
