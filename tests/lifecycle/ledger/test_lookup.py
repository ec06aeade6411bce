"""Users whom documents name by an e-mail address, or behind a prefix."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate import ScoreRecorder
from lbmigrate.checks.data import check_data
from lbmigrate.errors import Mismatch
from lbmigrate.explain.explain import explain
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user

BY_EMAIL = {**TASKS, "user": {"path": "email", "lookup": "users.contact.email"}}
ODD = {
    "at": [
        {"path": "ms", "epoch": "ms"},
        {"path": "from", "plus": {"path": "took", "unit": "minutes"}, "exact": True},
        "end",
    ],
    "updated": None,
    "meta": {},
}
ADDRESSES = {1: "Ann.Lee@Example.org", 2: "bob@example.org", 3: "twice@example.org", 4: "Twice@example.org"}
NAMED = {
    1: "ann.lee@example.org",
    2: " BOB@example.org",
    3: "twice@example.org",
    4: "TWICE@example.org",
    5: "a@x.org",
}


@pytest.fixture
def app(database):
    database["users"].insert_many([user(n, contact={"email": address}) for n, address in ADDRESSES.items()])
    database["tasks"].insert_many([task(n, email=email) for n, email in NAMED.items()])
    made = App(database, config(BY_EMAIL))
    made.apply(STEPS[:4])
    return made


def owners(app):
    return {event["sourceId"]: event["userId"] for event in app.events()}


def test_whoever_has_the_address_in_any_case_is_the_user_and_one_whom_two_have_is_nobody(app):
    assert owners(app) == {oid(1001): oid(1), oid(1002): oid(2), oid(1003): oid(3)}
    rejects = {row["sourceId"]: row["reason"] for row in app.database["lbmigrate_rejects"].find()}
    assert set(rejects) == {oid(1004), oid(1005)}
    assert rejects[oid(1004)] == "2 users have the contact.email that is in email"
    assert rejects[oid(1005)] == "no user has the contact.email that is in email"


def test_a_full_verification_looks_users_up_by_itself(app, monkeypatch):
    monkeypatch.setattr("lbmigrate.board.lookup.looked_up", None)
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    app.database["score_events"].update_one({"sourceId": oid(1002)}, {"$set": {"userId": oid(1)}})
    with pytest.raises(Mismatch):
        app.apply([STEPS[4]], verify=VerifyOptions(full=True))


@pytest.mark.parametrize("number", [1, 2])
def test_an_explanation_finds_the_documents_that_an_address_names(app, number):
    said = explain(app.context(), str(oid(number)), "global")
    assert [each.actions for each in said.sources] == [1]
    assert not said.differences


def test_a_full_verification_reads_the_same_users_and_times(app, database):
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    other = App(
        database.client[f"{database.name}_times"], config({**TASKS, "user": {"path": "u", "strip": "_U$"}, **ODD})
    )
    other.database["users"].insert_one({"_id": "ann", "name": "Ann"})
    usual = {"u": "_U$ann", "status": "done"}
    times = [{"ms": "1735689600000"}, {"from": NEW_YEAR, "took": 90.5}, {"from": NEW_YEAR}, {"end": NEW_YEAR}]
    other.database["tasks"].insert_many([{"_id": n, **usual, **each} for n, each in enumerate(times)])
    other.apply(STEPS[:4])
    other.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert [event["createdAt"] for event in other.events()] == [
        NEW_YEAR, NEW_YEAR + dt.timedelta(minutes=90, seconds=30), NEW_YEAR
    ]  # fmt: skip


def test_no_address_comes_into_the_ledger_or_onto_the_board(app):
    written = [*app.events(), *app.entries().values(), *app.database["lbmigrate_rejects"].find()]
    assert "@" not in str(written)


def test_a_user_who_comes_later_gets_what_was_rejected(app):
    app.database["users"].insert_one(user(5, contact={"email": "A@x.org"}))
    app.backfill()
    assert owners(app)[oid(1005)] == oid(5)


def test_a_backfill_of_one_user_finds_the_documents_and_a_recorder_does(app):
    app.database["tasks"].insert_many([task(6, email="Bob@Example.org"), task(7, email="bob@example.org")])
    app.database["tasks"].insert_one(task(8, email="ANN.lee@example.org"))
    app.backfill(scope=Scope(user=str(oid(2))))
    assert {oid(1006), oid(1007)} <= owners(app).keys()
    assert oid(1008) not in owners(app)
    assert ScoreRecorder(app.database, app.config, strict=True).record_source("tasks", oid(1008))
    assert owners(app)[oid(1008)] == oid(1)


def test_doctor_knows_those_whom_addresses_name(app):
    assert not [each.fact for each in check_data(app.context()) if each.level == "refusal"]


def test_a_backfill_of_one_user_finds_what_stands_behind_a_prefix(database):
    database["users"].insert_many([{"_id": "ann"}, {"_id": "bob"}])
    database["tasks"].insert_many([task(1, owner=1, userId="_User$ann"), task(2, userId="_User$bob")])
    app = App(database, config({**TASKS, "user": {"path": "userId", "strip": "_User$"}}))
    app.apply(STEPS[:3])
    app.backfill(scope=Scope(user="ann"))
    assert owners(app) == {oid(1001): "ann"}
    assert [each.actions for each in explain(app.context(), "ann", "global").sources] == [1]
