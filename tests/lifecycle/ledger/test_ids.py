"""Ids whose texts are equal, and one id in many forms: every action counts once, and for whom it should."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from bson import Binary, DBRef, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from lbmigrate.errors import Mismatch
from lbmigrate.ledger import rollup
from lbmigrate.live import ScoreRecorder
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.reconcile import reconcile
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import EVENTS, REJECTS
from lbmigrate.values.id_text import exact_text
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user
from tests.unit.values.test_id_text import mixed

pytestmark = pytest.mark.sampled

OID = ObjectId("507f1f77bcf86cd799439011")
HEX = str(OID)
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
NUMBER = 1795646312070
IN_MEMORY = (str, ObjectId, Int64, uuid.UUID)  # ids that the in-memory database tells apart as a server does
KINDS = {"double": float, "long": Int64, "decimal": lambda number: Decimal128(str(number))}
FORMS = [(OID, HEX), (UUID, str(UUID)), (17, "17"), (float(NUMBER), str(NUMBER)), (HEX, OID)]
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
ITEMS = {**TASKS, "unwind": "items", "where": {"items.done": True}, "at": ["items.at"], "meta": {}}
VICTIM, OTHER = 1, 2


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    app = App(database)
    app.apply(STEPS[:3])
    return app


def add(app, name, owner=VICTIM, **fields):
    app.database["tasks"].insert_one(task(0, owner, _id=name, **fields))


def reconciled(app):
    """What a reconciliation read and adjusted, and its warnings."""
    warnings = []
    driver = Driver(app.context(), listen=lambda report: warnings.append(report.piece.warning if report.piece else ""))
    counts = driver.carry_out(reconcile.WORK, reconcile.pieces(driver.context))
    return counts, [warning for warning in warnings if warning]


def verify(app):
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


def scores(app):
    return {str(e["userId"])[-1]: e["score"] for e in app.entries().values() if e["period"] == "global"}


def live(name, source, owner=VICTIM, **fields):
    """The event that an app inserts by itself."""
    return {
        "_id": name, "userId": oid(owner), "actionType": "task_complete", "points": Int64(10), "sourceId": source,
        "meta": {"origin": "live"}, "createdAt": NEW_YEAR, **fields,
    }  # fmt: skip


def is_real(app):
    return isinstance(app.database, Database)


def insert(app, *events):
    """Past the validator, as they came in before there was one."""
    if is_real(app):
        app.database.command("collMod", EVENTS, validationLevel="off")
    app.database[EVENTS].insert_many(events)


# --- ids whose texts are equal -------------------------------------------------------------------------------------

PAIRS = [
    (HEX, OID), (OID, HEX), (str(UUID), UUID), (UUID, str(UUID)), ("17", 17), (17, "17"), ("true", True),
    ('{"a": 1}', {"a": 1}), ("5.5", 5.5), (f'{{"$oid": "{HEX}"}}', OID), ("", '""'),
]  # fmt: skip
every_pair = pytest.mark.parametrize(("first", "second"), PAIRS, ids=repr)


@every_pair
@pytest.mark.parametrize("owner", [OTHER, VICTIM])
def test_whose_id_is_written_like_anothers_gets_the_points_all_the_same(app, first, second, owner):
    add(app, first, owner)
    assert app.backfill().emitted == 1
    add(app, second)
    counts = app.backfill(scope=replace(app.context().scope, full=True))
    assert (counts.read, counts.emitted, counts.duplicates, counts.rejected) == (2, 1, 1, 0)
    assert sorted(exact_text(event["sourceId"]) for event in app.events()) == sorted(map(exact_text, (first, second)))
    assert scores(app) == ({"1": 10, "2": 10} if owner == OTHER else {"1": 20})
    assert reconciled(app)[0].adjusted == 0
    app.database["tasks"].delete_one({"_id": first})
    assert reconciled(app)[0].adjusted == 1
    assert scores(app)["1"] == 10
    assert app.backfill(scope=replace(app.context().scope, full=True)).emitted == 0
    verify(app)


@every_pair
def test_two_such_ids_in_one_batch_are_two_actions(app, first, second):
    add(app, first, OTHER)
    add(app, second)
    counts = app.backfill()
    assert (counts.read, counts.emitted) == (2, 2)
    assert scores(app) == {"1": 10, "2": 10}
    assert app.backfill(scope=replace(app.context().scope, full=True)).duplicates == 2


@pytest.mark.parametrize("second", [UUID, str(UUID)], ids=repr)
def test_a_legacy_uuid_is_an_id_of_its_own(app, second):
    if not is_real(app):
        pytest.skip("the in-memory database cannot compare it")
    add(app, Binary(UUID.bytes, 3), OTHER)
    add(app, second)
    assert app.backfill().emitted == 2
    assert reconciled(app)[0].adjusted == 0
    assert scores(app) == {"1": 10, "2": 10}


def test_what_looks_like_an_adjustment_is_told_from_one(app):
    add(app, "V")
    add(app, "W", status="todo")
    app.backfill()
    app.database["tasks"].delete_one({"_id": "V"})
    reconciled(app)
    add(app, "V#1", OTHER)
    app.backfill()
    add(app, "V")
    reconciled(app)
    assert scores(app) == {"1": 10, "2": 10}
    verify(app)


@pytest.mark.parametrize("owners", [("A", "A/B"), (OID, HEX), (7, "7"), (str(UUID), UUID)], ids=repr)
def test_elements_are_told_apart_by_their_documents_too(database, owners):
    database["users"].insert_many([user(1), user(2)])
    names = ("B/C", "C") if owners[0] == "A" else ("x", "x")
    app = App(database, config(ITEMS))
    for number, (owner, name) in enumerate(zip(owners, names, strict=True), start=1):
        items = [{"id": name, "done": True, "at": NEW_YEAR}]
        database["tasks"].insert_one(task(0, number, _id=owner, items=items))
    app.apply(STEPS[:5])
    assert scores(app) == {"1": 10, "2": 10}
    assert reconciled(app)[0].adjusted == 0
    database["tasks"].delete_one({"_id": owners[0]})
    reconciled(app)
    assert scores(app) == {"1": 0, "2": 10}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(mixed.filter(lambda name: isinstance(name, str | ObjectId | Int64 | uuid.UUID)), min_size=1, max_size=8)
)
@pytest.mark.slow
def test_whatever_ids_an_app_has_each_of_its_tasks_has_one_event_and_each_undo_takes_one_back(names):
    names = list({exact_text(name): name for name in names}.values())
    with fake.client() as client:
        app = App(client["app"], config(backfill={"chunk_size": 3}))
        client["app"]["users"].insert_one(user(1))
        client["app"]["tasks"].insert_many([task(number, _id=name) for number, name in enumerate(names)])
        app.apply(STEPS[:4])
        for status, expected in [("todo", 0), ("done", 10)]:
            assert sorted(exact_text(e["sourceId"]) for e in app.events() if "reason" not in e["meta"]) == sorted(
                map(exact_text, names)
            )
            client["app"]["tasks"].update_many({}, {"$set": {"status": status}})
            reconciled(app)
            sums = dict.fromkeys(map(exact_text, names), 0)
            for event in app.events():
                sums[exact_text(event["sourceId"])] += event["points"]
            assert sums == dict.fromkeys(sums, expected)
        assert app.backfill(scope=replace(app.context().scope, full=True)).emitted == 0


# --- one id in many forms ------------------------------------------------------------------------------------------


def test_a_user_may_be_named_by_the_id_in_a_reference(database):
    database["users"].insert_many([user(number) for number in (1, 2)])
    done = [{**task(number), "owner": DBRef("users", oid(1 + number % 2))} for number in range(6)]
    database["tasks"].insert_many(done)
    app = App(database, config({**TASKS, "user": "owner.$id"}))
    app.apply()
    assert {event["userId"] for event in app.events()} == {oid(1), oid(2)}
    assert len(app.events()) == 6
    assert app.reconcile().adjusted == 0


@every_kind
def test_a_number_is_one_action_whatever_its_type(app, kind):
    add(app, float(NUMBER))
    insert(app, live(f"task_complete:{NUMBER}", kind(NUMBER)))
    assert app.backfill().duplicates == 1
    assert ScoreRecorder(app.database, app.config, strict=True).record("task_complete", oid(1), NUMBER) is False
    assert reconciled(app)[0].adjusted == 0
    assert scores(app) == {"1": 10}


def test_a_double_that_an_earlier_version_counted_is_not_counted_again(app):
    add(app, float(NUMBER))
    insert(app, live(f"task_complete:{NUMBER}.0", float(NUMBER), meta={"origin": "backfill"}))
    assert app.backfill().duplicates == 1
    assert reconciled(app)[0].adjusted == 0
    assert len(app.events()) == 1


def test_what_was_counted_twice_under_two_ids_is_counted_once_after_a_reconciliation(app):
    add(app, float(NUMBER))
    insert(app, live(f"task_complete:{NUMBER}.0", float(NUMBER)), live(f"task_complete:{NUMBER}", float(NUMBER)))
    app.backfill()
    assert scores(app) == {"1": 20}
    assert reconciled(app)[0].adjusted == 1
    assert scores(app) == {"1": 10}
    assert reconciled(app)[0].adjusted == 0


@every_kind
def test_a_number_is_one_user_whatever_its_type(database, kind):
    app = App(database)
    app.apply(STEPS[:3])
    database["users"].insert_one({"_id": float(NUMBER), "name": "Ada"})
    database["tasks"].insert_many([task(0, userId=float(NUMBER)), task(1, userId=kind(NUMBER))])
    app.backfill()
    entry = app.entries()[f"global:{NUMBER}"]
    assert (entry["userId"], entry["score"], entry["displayNameSnapshot"]) == (NUMBER, 20, "Ada")
    verify(app)


@pytest.mark.parametrize(("stored", "written"), FORMS)
def test_what_an_app_recorded_under_another_form_of_the_id_is_the_same_and_is_not_voided(app, stored, written):
    insert(app, live(f"task_complete:{written}", written))
    add(app, stored)
    counts = app.backfill()
    assert (counts.emitted, counts.duplicates, counts.rejected) == (0, 1, 0)
    assert reconciled(app)[0].adjusted == 0
    assert scores(app) == {"1": 10}
    app.database["tasks"].update_one({"_id": stored}, {"$set": {"status": "todo"}})
    reconciled(app)
    assert scores(app) == {"1": 0}
    verify(app)


def test_what_is_recorded_before_the_task_can_be_seen_has_the_type_of_the_others(app):
    add(app, oid(5), OTHER)
    app.apply([STEPS[3]])
    recorder = ScoreRecorder(app.database, app.config, strict=True)
    assert recorder.record("task_complete", oid(1), HEX, at=NEW_YEAR)
    assert next(event for event in app.events() if event["userId"] == oid(1))["sourceId"] == OID
    add(app, OID)
    assert app.backfill().emitted == 0
    assert reconciled(app)[0].adjusted == 0
    assert scores(app) == {"1": 10, "2": 10}


@pytest.mark.parametrize("odd", [{"$gt": ""}, {"a": {"$in": []}}, [1]])
def test_what_cannot_be_the_id_of_a_document_is_not_recorded(app, odd):
    recorder = ScoreRecorder(app.database, app.config, strict=True)
    with pytest.raises(Exception, match=r"source_id (has names that begin|is no value)"):
        recorder.record("task_complete", oid(1), odd)
    assert app.events() == []


# --- counts --------------------------------------------------------------------------------------------------------


def test_two_elements_with_one_id_are_one_action_and_the_counts_say_so(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(0, items=[{"id": "a", "done": True, "at": NEW_YEAR}] * 2))
    app = App(database, config(ITEMS))
    counts = app.apply(STEPS[:4])
    assert (counts.read, counts.emitted, counts.duplicates) == (2, 1, 1)
    assert scores(app) == {"1": 10}


def test_what_an_app_inserted_without_saying_where_it_comes_from_is_on_the_board_after_the_next_backfill(app):
    add(app, oid(4), OTHER)
    app.backfill()
    add(app, OID)
    insert(app, live(f"task_complete:{OID}", OID, meta={}))
    assert app.backfill().emitted == 0
    assert scores(app) == {"1": 10, "2": 10}
    verify(app)


# --- what does not fit ---------------------------------------------------------------------------------------------


def test_an_id_that_something_else_has_is_a_reject_that_says_so(app):
    add(app, OID)
    insert(app, live(f"task_complete:{OID}", "something else"))
    counts = app.backfill()
    assert (counts.read, counts.emitted, counts.duplicates, counts.rejected) == (1, 0, 0, 1)
    (row,) = app.database[REJECTS].find()
    assert row["reason"].startswith("the ledger has an event with its _id that is about something else")
    assert "something else" in row["reason"]


STRAYS = [
    live("admin_bonus:1", 1, OTHER, actionType="admin_bonus", points=Int64(10**9)),
    live("task_complete:xyz", "other", OTHER, points=Int64(10**9)),
    live(f"task_complete:{OID}#1", "other", OTHER, points=Int64(10**9)),
    live("task_complete:xyz", "xyz", OTHER, actionType="admin_bonus", points=Int64(10**9)),
    live("nothing", "nothing", OTHER, points=Int64(10**9)),
    live("", 1, OTHER, points=Int64(10**9)),
    live("nothing#1", "nothing", OTHER, points=Int64(10**9)),
    live('"nothing/ö"', 1, OTHER, points=Int64(10**9)),
    live("{", 1, OTHER, points=Int64(10**9)),
    live(":", 1, OTHER, points=Int64(10**9)),
    live("taken back:nothing", "something", OTHER, actionType="done", points=Int64(10**9)),
    live(f"{'a' * 300}:1", 1, OTHER, points=Int64(10**9)),
    live("ö" * 12_000, 1, OTHER, points=Int64(10**9)),
    live(f"task_complete:{'x' * 12_000}", 1, OTHER, points=Int64(10**9)),
]


@pytest.mark.parametrize("stray", STRAYS, ids=lambda stray: f"{stray['actionType']} {stray['_id'][:40]}")
@pytest.mark.parametrize("source", ["as it was", None], ids=["a sourceId", "no sourceId"])
def test_what_takes_an_event_about_nothing_back_is_such_as_the_validator_takes(app, stray, source):
    add(app, OID)
    app.backfill()
    event = stray if source else {**stray, "sourceId": None}
    app.database[EVENTS].insert_one(event, bypass_document_validation=True)
    counts, _ = reconciled(app)
    assert counts.adjusted == 1
    assert scores(app) == {"1": 10, "2": 0}
    again, warnings = reconciled(app)
    assert (again.adjusted, warnings) == (0, [])
    verify(app)


def test_what_cannot_be_taken_back_stops_nobody_and_is_named(app):
    if not is_real(app):
        pytest.skip("the fake has no validator")
    add(app, OID)
    add(app, HEX, OTHER)
    app.backfill()
    app.database[EVENTS].insert_one(live("admin_bonus:1", "1", OTHER, actionType="admin_bonus", points=Int64(10**9)))
    app.database.command("collMod", EVENTS, validator={"points": {"$gte": -100}})  # of the app's own
    app.database["tasks"].delete_one({"_id": OID})
    counts, warnings = reconciled(app)
    assert counts.adjusted == 1
    assert any("refuses" in warning and "'admin_bonus:1#1'" in warning for warning in warnings)
    assert scores(app)["1"] == 0


def test_what_takes_strays_back_has_an_id_of_its_own_for_each(app):
    names = ["nothing", "nothing#1", '"nothing"', "nothing#2", "", "#1", "ö" * 12_000, "ö" * 11_999 + "o"]
    insert(app, *(live(name, number, OTHER) for number, name in enumerate(names)))
    for adjusted in (len(names), 0, 0):
        assert reconciled(app)[0].adjusted == adjusted
    assert app.database[EVENTS].count_documents({}) == 2 * len(names)
    verify(app)
    app.database[EVENTS].delete_many({"_id": {"$in": names[:2]}})  # as somebody may do by hand
    assert reconciled(app)[0].adjusted == 2
    assert scores(app) == {"2": 0}
    verify(app)


def test_somebody_elses_event_that_looks_like_what_takes_a_stray_back_is_worth_nothing(app):
    insert(app, live("nothing", 1, OTHER))
    insert(app, live('taken back:"nothing"#1', '"nothing"', OTHER, actionType="taken back", points=Int64(10**9)))
    assert reconciled(app)[0].adjusted == 1
    assert scores(app) == {"2": 0}
    assert reconciled(app)[0].adjusted == 0
    verify(app)


def test_a_stray_of_somebody_who_leaves_stays_taken_back(app):
    add(app, OID)
    insert(app, live(f"weird-{oid(OTHER)}", 1, OTHER))
    assert reconciled(app)[0].adjusted == 1
    app.forget(oid(OTHER))
    assert not any(str(oid(OTHER)) in str(event) for event in app.events())
    assert reconciled(app)[0].adjusted == 0


@pytest.mark.parametrize("stray", STRAYS, ids=lambda stray: f"{stray['actionType']} {stray['_id'][:40]}")
def test_an_event_about_nothing_is_named_by_verify_and_taken_back_by_reconcile(app, stray):
    add(app, OID)
    app.backfill()
    insert(app, stray)
    app.backfill(scope=replace(app.context().scope, full=True))
    rollup.roll_up(app.context(), {"$in": [oid(VICTIM), oid(OTHER)]})  # as whoever inserted it would have done
    with pytest.raises(Mismatch, match=r"has '.*', whose (action no source has|_id does not fit)") as caught:
        verify(app)
    assert repr(stray["_id"][:100]) in str(caught.value)
    counts, warnings = reconciled(app)
    assert counts.adjusted == 1
    assert any(repr(stray["_id"])[:90] in warning for warning in warnings)
    assert scores(app) == {"1": 10, "2": 0}
    again, warnings = reconciled(app)
    assert (again.adjusted, warnings) == (0, [])
    verify(app)


@pytest.mark.parametrize("number", ["", "#7"], ids=["its _id", "one of its adjustments"])
def test_an_event_with_the_id_of_a_document_and_another_source_ends_up_as_what_the_document_is_worth(app, number):
    add(app, OID)
    stray = live(f"task_complete:{OID}{number}", "something else", OTHER, points=Int64(10**9))
    insert(app, stray)
    app.backfill()
    rollup.roll_up(app.context(), {"$in": [oid(VICTIM), oid(OTHER)]})
    with pytest.raises(Mismatch, match="_id does not fit") as caught:
        verify(app)
    assert caught.value.hint == "lbmigrate reconcile, then: lbmigrate verify"
    reconciled(app)
    assert scores(app) == {"1": 10, "2": 0}
    verify(app)
    app.database["tasks"].update_one({"_id": OID}, {"$set": {"status": "todo"}})
    assert reconciled(app)[0].adjusted == 1
    assert scores(app) == {"1": 0, "2": 0}
    assert (reconciled(app)[0].adjusted, verify(app)) == (0, None)


# --- users ---------------------------------------------------------------------------------------------------------


def test_two_users_whose_ids_have_one_text_have_an_entry_each(app):
    insert(app, live("task_complete:a", "a", userId=OID), live("task_complete:b", "b", userId=HEX))
    for _ in range(2):
        rollup.roll_up(app.context(), {"$in": [OID]})
        rollup.roll_up(app.context(), {"$in": [HEX]})
    found = {key: entry["userId"] for key, entry in app.entries().items() if entry["period"] == "global"}
    assert found == {f"global:{HEX}": OID, f'global:"{HEX}"': HEX}


# --- large ids -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ids_of_many_megabytes_in_one_chunk_are_asked_for_in_parts(database):
    names = [f"{number}{'x' * 1_500_000}" for number in range(14)]
    database["users"].insert_one(user(1))
    for number, name in enumerate(names):
        database["tasks"].insert_one(task(number, _id=name))
    app = App(database, config(backfill={"chunk_size": 20}))
    app.apply(STEPS[:4])
    assert app.backfill(scope=replace(app.context().scope, full=True)).duplicates == 14
    assert reconciled(app)[0].adjusted == 0
    assert scores(app) == {"1": 140}
    database["tasks"].update_many({}, {"$set": {"status": "todo"}})
    assert reconciled(app)[0].adjusted == 14
    assert scores(app) == {"1": 0}
    app.revert()
    assert "score_events" not in database.list_collection_names()


@pytest.mark.parametrize("wide", [1, Int64(1), 1.0, Decimal128("1.0")], ids=repr)
def test_a_compound_id_is_one_whatever_type_the_numbers_in_it_have(app, wide):
    """A server takes them for one id, and JavaScript does not tell them apart."""
    if not is_real(app) and isinstance(wide, Decimal128):
        pytest.skip("the in-memory database does not compare it with other numbers")
    add(app, {"list": wide, "day": NUMBER})
    recorder = ScoreRecorder(app.database, app.config, strict=True)
    assert recorder.record("task_complete", oid(VICTIM), {"list": 1, "day": float(NUMBER)}, at=NEW_YEAR)
    counts = app.backfill()
    assert (counts.read, counts.emitted, counts.duplicates) == (1, 0, 1)
    assert app.event_ids() == [f'task_complete:{{"list": 1, "day": {NUMBER}}}']
    assert reconciled(app)[0].adjusted == 0
    verify(app)


def test_what_an_earlier_version_called_a_compound_id_with_a_double_is_known(app):
    add(app, {"list": 1.0})
    insert(app, live('task_complete:{"list": 1.0}', {"list": 1.0}))
    counts = app.backfill()
    assert (counts.read, counts.emitted, counts.duplicates) == (1, 0, 1)
    assert reconciled(app)[0].adjusted == 0


def test_two_documents_that_cannot_be_scored_have_a_reject_each_although_their_ids_are_written_alike(app):
    for name in (OID, HEX, 17, "17"):
        add(app, name, userId=None)
    assert app.backfill().rejected == 4
    rejected = {exact_text(row["sourceId"]) for row in app.database[REJECTS].find()}
    assert rejected == {exact_text(name) for name in (OID, HEX, 17, "17")}
