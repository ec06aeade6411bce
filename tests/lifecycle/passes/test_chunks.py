"""Every document is read once, whatever its ids and times look like, and later passes read what is new."""

from __future__ import annotations

import datetime as dt
import random
import signal
import uuid

import pytest
from bson import Int64, ObjectId

from lbmigrate import ScoreRecorder
from lbmigrate.console.format import summary
from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.migration import plan
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.passes import chunks, passes
from lbmigrate.passes.chunks import Bounds, Span
from lbmigrate.passes.read_plan import is_indexed
from lbmigrate.run.context import Scope
from lbmigrate.run.stop import Limits, Stop
from tests.apps import NEW_YEAR, App, config, oid, picture, stopped_after, task, user

pytestmark = pytest.mark.sampled

DAY = dt.timedelta(days=1)
IDS = [
    2, 3, Int64(4), 5.5, -7, Int64(2**40), 1e300,
    "", "a", "B", "é", "z" * 30, str(oid(7)),
    oid(1), oid(2), oid(3), ObjectId("ffffffffffffffffffffffff"),
    uuid.UUID(int=1), uuid.UUID(int=2**127), b"b", b"aa", b"c", b"abc",
    {"a": 1}, {"a": 2, "b": "x"}, {"b": 1},
    True, False,
    dt.datetime(1999, 1, 1), dt.datetime(2025, 5, 5),
]  # fmt: skip
indexed_or_not = pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
by_threes = {"chunk_size": 3}


@pytest.fixture
def ids(database):
    """Ids of every type, in no order; the fake cannot sort UUIDs among other binary data."""
    some = [each for each in IDS if not (is_fake(database) and isinstance(each, bytes))]
    random.Random(1).shuffle(some)
    return some


def app_of(database, documents, *sources, indexed=False, **parts):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many(documents)
    if indexed:
        database["tasks"].create_index("updatedAt")
    app = App(database, config(*sources, **{"backfill": by_threes, **parts}))
    app.apply(STEPS[:2])
    return app


def sources_of(app):
    """The ids that the ledger names, in no order."""
    return sorted(repr(event["sourceId"]) for event in app.events())


def in_any_order(ids):
    return sorted(map(repr, ids))


def assert_counts_add_up(app):
    rows = app.chunks()
    assert rows
    for row in rows:
        counts = row["counts"]
        assert counts["read"] == sum(counts[name] for name in ("emitted", "duplicates", "rejected", "skipped"))
        assert counts["read"] <= app.config.backfill.chunk_size


def test_ids_of_every_type_in_one_collection_are_all_read(database, ids):
    app = app_of(database, [task(0, _id=each) for each in ids])
    assert app.backfill().read == len(ids)
    assert sources_of(app) == in_any_order(ids)
    assert_counts_add_up(app)


@pytest.mark.parametrize("stop", [1, 3, 6, 10])
def test_ids_of_every_type_survive_a_stop_between_any_two_chunks(database, ids, stop):
    app = app_of(database, [task(0, _id=each) for each in ids])
    stopped_after(STEPS[3], app.context(), stop, saved=True)
    app.backfill()
    assert sources_of(app) == in_any_order(ids)


def changed_at(number, rng):
    """A time of change as some app would keep it."""
    at = NEW_YEAR + dt.timedelta(hours=number)
    seconds = int(at.replace(tzinfo=dt.UTC).timestamp())
    return rng.choice(
        [
            at, at, at, at.isoformat(), at.isoformat() + "Z", seconds, Int64(seconds * 1000), float(seconds * 1000),
            None, "yesterday", True, {"at": at},
        ]
    )  # fmt: skip


@indexed_or_not
@pytest.mark.parametrize("seed", range(3))
def test_later_passes_find_new_and_changed_documents_whatever_their_times_look_like(database, ids, indexed, seed):
    rng = random.Random(seed)
    everything = [task(number, _id=each, updatedAt=changed_at(number, rng)) for number, each in enumerate(ids)]
    for document in rng.sample(everything, 5):
        del document["updatedAt"]
    app = app_of(database, everything[:15], indexed=indexed)
    app.backfill()
    late = NEW_YEAR + 400 * DAY
    for number, document in enumerate(everything[15:]):
        document["updatedAt"] = changed_at(24 * 400 + number, rng)
    database["tasks"].insert_many(everything[15:])
    undone = task(500, status="todo", updatedAt=late)
    database["tasks"].insert_one(undone)
    app.backfill()
    assert sources_of(app) == in_any_order(ids)
    database["tasks"].update_one({"_id": undone["_id"]}, {"$set": {"status": "done", "updatedAt": late + DAY}})
    app.backfill()
    assert sources_of(app) == in_any_order([*ids, undone["_id"]])
    assert_counts_add_up(app)


@indexed_or_not
@pytest.mark.parametrize("stop", [2, 4, 7])
def test_a_later_pass_stopped_between_chunks_loses_nothing(database, ids, indexed, stop):
    rng = random.Random(stop)
    app = app_of(database, [task(number) for number in range(4)], indexed=indexed)
    app.backfill()
    late = [task(number, _id=each, updatedAt=changed_at(24 * 9 + number, rng)) for number, each in enumerate(ids)]
    database["tasks"].insert_many(late)
    stopped_after(STEPS[3], app.context(), stop, saved=True)
    app.backfill()
    assert sources_of(app) == in_any_order([*ids, *(oid(1000 + number) for number in range(4))])


LISTED = {"updatedAt": None}  # a span that no range describes
TIED = Span("updatedAt", NEW_YEAR, NEW_YEAR)
SPANS = [Span("_id", extra=LISTED), TIED]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("span", SPANS, ids=["without a time", "all at the same time"])
def test_cutting_goes_on_behind_any_chunk_with_the_next_document(database, ids, span, size):
    database["tasks"].insert_many([task(0, _id=each, updatedAt=span.low) for each in ids])

    def cut(last=None):
        return list(chunks.cut(database["tasks"], span, lambda: size, last))

    def read(bounds):
        return [repr(row["_id"]) for each in bounds for row in database["tasks"].find(each.condition())]

    everything = cut()
    assert sorted(read(everything)) == in_any_order(ids)
    for number, last in enumerate(everything, start=1):
        assert cut(last) == everything[number:]


def test_cutting_goes_on_where_it_was_though_the_last_document_is_gone(database):
    database["tasks"].insert_many([task(number, updatedAt=None) for number in range(9)])
    first, *_ = chunks.cut(database["tasks"], SPANS[0], lambda: 3, None)
    database["tasks"].delete_one({"_id": first.high})
    following, *_ = chunks.cut(database["tasks"], SPANS[0], lambda: 3, first)
    assert following.low == oid(1003)


def test_documents_with_one_and_the_same_time_of_change_are_cut_into_chunks_too(database):
    same = NEW_YEAR + 9 * DAY
    app = app_of(database, [task(0)], indexed=True, backfill={"chunk_size": 100})
    app.backfill()
    database["tasks"].insert_many([task(10 + number, owner=number % 3, updatedAt=same) for number in range(5_000)])
    counts = app.backfill()
    assert counts.emitted == 5_000
    assert len(app.chunks(**{"pass": 2})) >= 50
    assert_counts_add_up(app)


@pytest.mark.parametrize("stop", [2, 4, 6, 9])
def test_a_stop_amid_equal_times_of_change_loses_nothing(database, stop):
    app = app_of(database, [task(0)], indexed=True)
    app.backfill()
    ties = [task(10 + number, updatedAt=NEW_YEAR + dt.timedelta(days=9 + number // 12)) for number in range(30)]
    database["tasks"].insert_many(ties)
    stopped_after(STEPS[3], app.context(), stop, saved=True)
    app.backfill()
    assert len(app.events()) == 31


@pytest.mark.parametrize("hours", [0, 23], ids=["at the watermark", "23 hours before it"])
def test_what_comes_late_within_the_lag_is_read(database, hours):
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number) for number in range(9)])
    app = App(database)
    app.apply()
    reached = app.state.watermark("tasks")["value"]
    database["tasks"].insert_one(task(50, updatedAt=reached - dt.timedelta(hours=hours)))
    assert app.backfill().emitted == 1
    assert len(app.events()) == 10


@indexed_or_not
def test_only_what_changed_is_read_again_where_an_index_leads_to_it(database, indexed):
    app = app_of(database, [task(number, hours=number * 24) for number in range(60)], indexed=indexed)
    app.backfill()
    database["tasks"].insert_many([task(100 + number, hours=60 * 24 + number) for number in range(4)])
    counts = app.backfill()
    assert counts.emitted == 4
    assert counts.read == (6 if indexed else 64)  # the lag of a day reaches back to two documents
    assert counts.read == sum(row["counts"]["read"] for row in app.chunks(**{"pass": 2}))


@pytest.mark.parametrize(
    ("keys", "options", "leads"),
    [
        ([("updatedAt", 1)], {}, True),
        ([("updatedAt", -1), ("userId", 1)], {}, True),
        ([("userId", 1), ("updatedAt", 1)], {}, False),
        ([("updatedAt", "hashed")], {}, False),
        ([("updatedAt", 1)], {"sparse": True}, False),
        ([("updatedAt", 1)], {"partialFilterExpression": {"status": "done"}}, False),
    ],
    ids=["plain", "compound", "second of two", "hashed", "sparse", "partial"],
)
def test_an_index_leads_to_what_changed_only_if_it_has_all_documents_in_order(database, keys, options, leads):
    database["tasks"].create_index(keys, **options)
    assert is_indexed(database["tasks"], "updatedAt") is leads


def test_a_pass_with_nothing_new_changes_nothing(database):
    app = app_of(database, [task(number, owner=1 + number % 3) for number in range(20)], indexed=True)
    app.backfill()
    before = picture(database)
    counts = app.backfill()
    assert counts.emitted == 0
    assert picture(database) == before


def test_documents_deleted_after_their_chunk_was_planned_do_not_stop_the_run(database):
    documents = [task(number) for number in range(20)]
    app = app_of(database, documents)
    stopped_after(STEPS[3], app.context(), 3, saved=False)
    gone = [documents[number]["_id"] for number in (4, 5, 6, 7, 8, 9, 10, 15, 19)]
    known = set(app.event_ids())
    database["tasks"].delete_many({"_id": {"$in": gone}})
    app.backfill()
    kept = {f"task_complete:{document['_id']}" for document in documents if document["_id"] not in gone}
    assert set(app.event_ids()) == kept | known
    assert all(row["status"] == "rolled" for row in app.chunks())


def test_a_stop_request_finishes_what_is_begun_and_the_next_run_goes_on(database):
    app = app_of(database, [task(number) for number in range(30)])
    stop = Stop()
    walk = STEPS[3].apply(app.context(stop=stop))
    for _, piece in zip(range(4), walk, strict=False):
        app.state.save(piece.checkpoint)
    stop.request(signal.SIGINT)
    for piece in walk:
        app.state.save(piece.checkpoint)
    assert 0 < len(app.events()) < 30
    assert {row["status"] for row in app.chunks()} == {"emitted"}
    assert app.entries() == {}
    app.backfill()
    assert len(app.events()) == 30
    assert len(app.chunks()) == 10
    assert app.entries()[f"global:{oid(1)}"]["score"] == 300


# --- embedded arrays ---------------------------------------------------------------------------------------------

EMBEDDED = {
    "name": "embedded",
    "collection": "tasks",
    "action": "task_complete",
    "unwind": "todos",
    "where": {"todos.done": True},
    "user": "userId",
    "at": ["todos.at"],
    "points": 5,
}


def lists(count):
    def todo(number, part):
        at = NEW_YEAR + dt.timedelta(hours=number * 10 + part)
        return {"id": f"{number}-{part}", "done": part != 1, "at": at}

    return [
        {"_id": oid(number), "userId": oid(1 + number % 3), "todos": [todo(number, part) for part in range(number % 5)]}
        for number in range(count)
    ]


@indexed_or_not
def test_elements_of_an_embedded_array_are_scored_one_by_one(database, indexed):
    app = app_of(database, lists(12), EMBEDDED)
    if indexed:
        database["tasks"].create_index("todos.at")
    counts = app.backfill()
    wanted = sorted(
        f"task_complete:{document['_id']}/{todo['id']}"
        for document in lists(12)
        for todo in document["todos"]
        if todo["done"]
    )
    assert app.event_ids() == wanted
    assert counts.read == counts.emitted == len(wanted)


@indexed_or_not
def test_later_passes_find_elements_that_were_added(database, indexed):
    app = app_of(database, lists(12), EMBEDDED)
    if indexed:
        database["tasks"].create_index("todos.at")
    app.backfill()
    before = set(app.event_ids())
    added = {"id": "new", "done": True, "at": NEW_YEAR + 90 * DAY}
    database["tasks"].update_one({"_id": oid(3)}, {"$push": {"todos": added}})
    app.backfill()
    assert set(app.event_ids()) - before == {f"task_complete:{oid(3)}/new"}


# --- bounds ------------------------------------------------------------------------------------------------------


@indexed_or_not
def test_a_bounded_backfill_takes_just_what_it_was_asked_for_and_leaves_the_watermark(database, indexed):
    app = app_of(database, [task(number, owner=1 + number % 2, hours=number * 24) for number in range(20)])
    if indexed:
        database["tasks"].create_index("completedAt")
    asked = Scope(since=NEW_YEAR + 5 * DAY, until=NEW_YEAR + 9 * DAY)
    app.backfill(scope=asked)
    assert [event["createdAt"] for event in app.events()] == [NEW_YEAR + day * DAY for day in (5, 6, 7, 8)]
    assert "value" not in app.state.watermark("tasks")
    assert_counts_add_up(app)

    app.backfill(scope=Scope(user=str(oid(2))))
    assert {event["sourceId"] for event in app.events() if event["userId"] == oid(1)} == {oid(1006), oid(1008)}
    assert sum(event["userId"] == oid(2) for event in app.events()) == 10
    assert "value" not in app.state.watermark("tasks")

    app.backfill()
    mark = app.state.watermark("tasks")["value"]
    assert len(app.events()) == 20
    app.backfill(scope=asked)
    assert app.state.watermark("tasks")["value"] == mark
    assert app.entries()[f"global:{oid(1)}"]["score"] == app.entries()[f"global:{oid(2)}"]["score"] == 100


def test_a_bounded_backfill_does_not_disturb_an_unfinished_one(database):
    app = app_of(database, [task(number, hours=number * 24) for number in range(30)])
    stopped_after(STEPS[3], app.context(), 3, saved=True)
    begun = app.state.watermark("tasks")["pass"]
    app.backfill(scope=Scope(since=NEW_YEAR + 25 * DAY))
    assert app.state.watermark("tasks")["pass"] == begun
    app.backfill()
    assert len(app.events()) == 30
    assert app.entries()[f"global:{oid(1)}"]["score"] == 300


@pytest.mark.parametrize("then", [Scope(), Scope(full=True)], ids=["incremental", "full"])
@pytest.mark.parametrize(
    "given_up", [Scope(full=True), Scope(user=str(oid(1))), Scope(since=NEW_YEAR)], ids=["full", "by name", "since"]
)
def test_what_a_backfill_added_before_it_was_given_up_comes_into_the_entries_with_the_next(database, given_up, then):
    app = app_of(database, [task(number, owner=1) for number in range(2)], indexed=True)
    app.backfill()
    database["tasks"].insert_one(task(2, owner=1))
    database["score_events"].insert_one(event_of_another_program())  # so that nobody rolls up everybody
    killed_after_its_first_chunk(app, scope=given_up)
    assert len(app.events()) == 4
    app.backfill(scope=then)
    assert app.entries()[f"global:{oid(1)}"]["score"] == 30
    assert app.chunks(status="claimed") == []
    assert_counts_add_up(app)


def event_of_another_program():
    what = {"userId": oid(9), "actionType": "other", "points": Int64(1), "sourceId": 1, "meta": {}}
    return {"_id": "other:1", **what, "createdAt": NEW_YEAR}


def killed_after_its_first_chunk(app, **chosen):
    for piece in s4_backfill.apply(app.context(**chosen)):
        if piece.counts and piece.counts.read:
            return
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)


def test_a_chunk_without_bounds_that_was_given_up_is_in_nobodys_way_after_a_full_backfill(database):
    app = app_of(database, [task(number, owner=1) for number in range(2)], indexed=True)
    app.backfill()
    killed_after_its_first_chunk(app, scope=Scope(user=str(oid(1))))
    app.state.rows.update_one({"kind": "chunk", "status": "claimed"}, {"$unset": {"low": ""}})
    with pytest.raises(Refused, match="no usable bounds") as refused:
        app.backfill()
    assert "lbmigrate backfill --full" in refused.value.hint
    app.backfill(scope=Scope(full=True))
    app.backfill()


def test_a_full_backfill_reads_everything_again_and_adds_what_was_lost(database):
    app = app_of(database, [task(number) for number in range(10)], indexed=True)
    app.backfill()
    database["score_events"].delete_one({"sourceId": oid(1002)})
    with pytest.raises(Refused, match="holds 9 documents"):
        app.backfill()
    counts = app.backfill(scope=Scope(full=True))
    assert (counts.read, counts.emitted, counts.duplicates) == (10, 1, 9)
    assert app.entries()[f"global:{oid(1)}"]["score"] == 100


def test_a_full_backfill_that_a_limit_has_stopped_is_gone_on_with_by_the_next_ordinary_one(database):
    app = app_of(database, [task(number) for number in range(30)], indexed=True)
    app.backfill()
    database["score_events"].delete_one({"sourceId": oid(1025)})
    app.backfill(scope=Scope(full=True), stop=Stop(Limits(documents=10)))
    assert len(app.events()) == 29
    assert "as `backfill --full` has begun to" in plan.look(app.context()).steps[3].todo[0]
    app.backfill()
    assert len(app.events()) == 30
    assert app.entries()[f"global:{oid(1)}"]["score"] == 300
    assert app.backfill().read <= 5
    assert_counts_add_up(app)


# --- accounts ----------------------------------------------------------------------------------------------------


def test_every_document_read_is_accounted_for(database):
    documents = [task(number) for number in range(8)]
    documents += [
        task(20, userId=None),
        task(21, userId="  "),
        task(22, completedAt=None),
        task(23, completedAt="soon"),
    ]
    documents += [task(30, status="todo")]
    app = app_of(database, documents)
    counts = app.backfill()
    assert (counts.read, counts.emitted, counts.rejected) == (12, 8, 4)
    assert_counts_add_up(app)
    reasons = {row["sourceId"]: row["reason"] for row in database["lbmigrate_rejects"].find()}
    assert set(reasons) == {oid(1020), oid(1021), oid(1022), oid(1023)}
    assert all(reasons.values())


def test_the_same_reject_is_kept_once(database):
    app = app_of(database, [task(0), task(20, userId=None)])
    app.backfill()
    before = picture(database)["lbmigrate_rejects"]
    app.backfill(scope=Scope(full=True))
    assert picture(database)["lbmigrate_rejects"] == before


def test_a_chunk_is_kept_with_bounds_that_read_back_as_they_were(database):
    app = app_of(database, [task(number) for number in range(7)])
    app.backfill()
    bounds = [Bounds.from_row(row) for row in app.chunks()]
    assert [(each.low, each.high, each.closed) for each in bounds] == [
        (oid(1000), oid(1003), False),
        (oid(1003), oid(1006), False),
        (oid(1006), oid(1006), True),
    ]


def test_chunks_of_long_closed_passes_that_added_nothing_are_dropped(database, monkeypatch):
    monkeypatch.setattr(passes, "PASSES_KEPT", 2)
    app = app_of(database, [task(number) for number in range(6)], indexed=True)
    app.backfill()
    for number in range(5):
        if number == 1:
            late = NEW_YEAR + dt.timedelta(days=300)
            app.database["tasks"].insert_one(task(50, completedAt=late, updatedAt=late))
        app.backfill()
    found = {chunk["pass"]: chunk["counts"]["emitted"] for chunk in app.chunks()}
    assert found == {1: 3, 3: 1, 5: 0, 6: 0}


def test_dropping_spent_chunks_makes_no_verdict_stale(database, monkeypatch):
    app = app_of(database, [task(number) for number in range(6)], indexed=True)
    app.apply(STEPS[:5])
    monkeypatch.setattr(passes, "PASSES_KEPT", 0)
    before = app.state.last_emission()
    app.backfill()
    assert app.state.last_emission() == before


def test_actions_well_ahead_of_the_clock_are_kept_counted_and_told(database):
    noon = dt.datetime(2025, 6, 1, 12)
    ahead = [dt.timedelta(minutes=-1), dt.timedelta(minutes=4), dt.timedelta(minutes=6), dt.timedelta(days=2)]
    tasks = [task(number, completedAt=noon + by) for number, by in enumerate(ahead)]
    app = app_of(database, tasks)
    counts = app.backfill(clock=lambda: noon)
    assert (counts.emitted, counts.future) == (4, 2)
    assert sum(chunk["counts"]["future"] for chunk in app.chunks()) == 2
    assert "2 in the future" in summary(counts)


def test_actions_further_ahead_than_the_limit_are_rejects_and_make_no_period(database):
    noon = dt.datetime(2100, 6, 1, 12)  # in the past, rejects would expire
    late = [dt.datetime(2137, 11, 4), noon + dt.timedelta(days=2, milliseconds=1)]
    app = app_of(database, [task(0, completedAt=noon), *(task(n, completedAt=at) for n, at in enumerate(late, 1))])
    counts = app.backfill(clock=lambda: noon)
    assert (counts.read, counts.emitted, counts.rejected, counts.future) == (3, 1, 2, 0)
    assert {entry["period"] for entry in app.entries().values()} == {"global", "2100-W22"}
    reasons = [row["reason"] for row in database["lbmigrate_rejects"].find().sort("_id", 1)]
    assert reasons == [
        "completedAt is in the future (2137-11-04 00:00:00)",
        "completedAt is in the future (2100-06-03 12:00:00.001000)",
    ]


def test_an_action_that_was_too_far_ahead_comes_in_when_its_time_has_come(database):
    noon = dt.datetime(2025, 6, 1, 12)
    app = app_of(database, [task(1, completedAt=noon + dt.timedelta(days=9))])
    assert app.backfill(clock=lambda: noon).rejected == 1
    assert app.backfill(clock=lambda: noon + dt.timedelta(days=8), scope=Scope(full=True)).emitted == 1


def test_a_recorder_refuses_what_a_backfill_would_reject(database):
    noon = dt.datetime(2025, 6, 1, 12)
    app = app_of(database, [task(1, completedAt=noon + dt.timedelta(days=9))])
    app.apply(STEPS[2:3])
    recording = ScoreRecorder(database, app.config, strict=True, clock=lambda: noon)
    with pytest.raises(UsageError, match="at is in the future"):
        recording.record("task_complete", oid(1), oid(1001), at=noon + dt.timedelta(days=9))
    with pytest.raises(LbmigrateError, match="cannot be scored"):
        recording.record_source("tasks", oid(1001))
    assert app.events() == []


def test_what_a_recorder_inserted_first_is_neither_new_nor_counted_as_ahead(database):
    noon = dt.datetime(2025, 6, 1, 12)
    app = app_of(database, [task(1, completedAt=noon + dt.timedelta(days=1))])
    app.apply(STEPS[2:3])
    recording = ScoreRecorder(database, app.config, strict=True, clock=lambda: noon)
    assert recording.record_source("tasks", oid(1001))
    assert recording.ahead == 1
    counts = app.backfill(clock=lambda: noon)
    assert (counts.emitted, counts.duplicates, counts.future) == (0, 1, 0)


def test_how_far_ahead_is_well_ahead_can_be_configured(database):
    noon = dt.datetime(2025, 6, 1, 12)
    limits = {"future": "30d", "future_limit": None}
    app = app_of(database, [task(1, completedAt=noon + dt.timedelta(days=29))], backfill=limits)
    counts = app.backfill(clock=lambda: noon)
    assert (counts.emitted, counts.future) == (1, 0)
