"""A table: change of the configuration × command × what is left.

Whatever was typed in between, the command that plan names ends in the board that the new configuration makes of the
same documents, and nothing of the old one is left but adjustments.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import sys
import types
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from lbmigrate import commands
from lbmigrate.config.digest import applied_rules
from lbmigrate.errors import Mismatch, Refused
from lbmigrate.migration.runner import Terms
from lbmigrate.passes.scored_by import MIXED, kept_parts
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema.layout import homes
from lbmigrate.state import State, layouts
from tests.apps import NEW_YEAR, SESSIONS, TASKS, USERS, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

DAY = dt.timedelta(days=1)
FULL = VerifyOptions(full=True)
UNHURRIED = Terms(lock_ttl=86_400.0)
NUMBERS = itertools.count()
MINUTES = {"let": {"minutes": {"path": "took", "unit": "seconds", "to": "minutes"}}, "points": "floor(minutes)"}
MILLISECONDS = {"minutes": {"path": "took", "unit": "ms", "to": "minutes"}}
LISTS = {"unwind": "parts", "where": {}, "at": ["parts.at"], "updated": None}
OLDER = {**TASKS, "name": "older", "where": {"status": "archived"}, "points": 3}


def tasks(**said):
    """The parts of a configuration in which the source `tasks` says something else."""
    return {"sources": [{**TASKS, **said}, SESSIONS]}


def users(**said):
    return {"users": {**USERS, **said}}


# What was said before, what is said now (the rest is as usual), and which adjustments that leaves.
CHANGES = {
    "where is widened": ({}, tasks(where={"status": {"$in": ["done", "archived"]}}), {}),
    "where is narrowed": ({}, tasks(where={"status": "done", "priority": "high"}), {"voided": 6}),
    "where is mistyped": ({}, tasks(where={"status": "Done"}), {"voided": 18}),
    "the collection is corrected": (tasks(collection="chores"), {}, {"voided": 3}),
    "at is corrected": (tasks(at=["reachedAt"]), {}, {}),
    "at is another field": ({}, tasks(at=["finishedAt"]), {"moved": 36}),
    "the user is corrected": (tasks(user="ownerId"), {}, {}),
    "the user is another field": ({}, tasks(user="helper"), {"moved": 36}),
    "what stands before the user": ({}, tasks(user={"path": "pointer", "strip": "_User$", "as": "objectId"}), {}),
    "elements instead of documents": ({}, tasks(**LISTS), {"voided": 18}),
    "other elements": (tasks(**LISTS), tasks(**{**LISTS, "unwind": "more", "at": ["more.at"]}), {"voided": 24}),
    "another number of points": ({}, tasks(points=15), {"rescored": 18}),
    "a formula for a number": ({}, tasks(**MINUTES), {"rescored": 17}),
    "a function for a number": ({}, tasks(points="doubled_rules:points"), {"rescored": 18}),
    "the unit of a duration": (tasks(**MINUTES), tasks(**{**MINUTES, "let": MILLISECONDS}), {"rescored": 18}),
    "a range of points": (tasks(**MINUTES, points_range=[0, 12]), tasks(**MINUTES), {}),
    "the field that grows": (tasks(updated="madeAt"), {}, {}),
    "another action": ({}, tasks(action="task_done"), {"voided": 18}),
    "what is copied": (tasks(meta={}), {}, {}),
    "a source that is new": ({"sources": [TASKS]}, {}, {}),
    "a source that is gone": ({}, {"sources": [TASKS]}, {"voided": 6}),
    "a source that has another name": ({}, tasks(name="chores"), {}),
    "a second source of one action": ({}, {"sources": [TASKS, OLDER, SESSIONS]}, {}),
    "the first source of one action": ({"sources": [TASKS, OLDER, SESSIONS]}, {"sources": [OLDER, SESSIONS]},
                                       {"voided": 18}),
    "a time zone to the west": ({"timezone": "Europe/Istanbul"}, {"timezone": "America/New_York"}, {}),
    "a time zone to the east": ({"timezone": "Pacific/Honolulu"}, {"timezone": "Pacific/Apia"}, {}),
    "another beginning of days": ({}, {"day_starts": "04:00"}, {}),
    "days by each user's own clocks": ({}, users(timezone="zone"), {}),
    "a period more": ({}, {"periods": ["global", "week", "month", "day"]}, {}),
    "a period less": ({"periods": ["global", "week", "month"]}, {}, {}),
    "other periods": ({"periods": ["global", "week", "year"]}, {"periods": ["day"]}, {}),
    "no overall board any more": ({}, {"periods": ["week"]}, {}),
    "another name is shown": ({}, users(display_name=["nick"]), {}),
    "another opt-out": ({}, users(opt_out={"path": "private", "missing": False}), {}),
    "somebody is hidden": ({}, users(hidden=[{"path": "banned", "equals": True}]), {}),
    "another picture": ({}, users(avatar=["photo"]), {}),
    "all of it at once": ({"timezone": "Europe/Istanbul", "periods": ["global", "month"]},
                          {**tasks(action="task_done", points=7), **users(display_name=["nick"])}, {"voided": 18}),
}  # fmt: skip
every_change = pytest.mark.parametrize("change", CHANGES)
# What no action and no entry is worth anything else by: a run brings it about, or nothing has to.
STANDING = {
    "who reached it first stands first": ({}, {"ranking": {"order": ["score", "earliest"]}}, {}),
    "who reached it last stands first": ({"ranking": {"order": ["score", "earliest"]}},
                                         {"ranking": {"order": ["score", "latest"]}}, {}),
    "nobody is asked any more who was first": ({"ranking": {"order": ["score", "earliest"]}}, {}, {}),
    "who shares a score has other ranks": ({}, {"ranking": {"ties": "dense"}}, {}),
    "an order and where": ({}, {**tasks(where={"status": {"$in": ["done", "archived"]}}),
                                "ranking": {"order": ["score", "earliest"], "ties": "ordinal"}}, {}),
}  # fmt: skip


def documents():
    """Thirty tasks at hours that other zones have on another day, a quarter of them archived."""
    for number in range(24):
        at = NEW_YEAR + number * DAY + dt.timedelta(hours=22.5 if number % 2 else 3)
        yield task(
            number, owner=1 + number % 3, completedAt=at, updatedAt=at + dt.timedelta(hours=1), madeAt=NEW_YEAR,
            finishedAt=at + 9 * DAY, status="archived" if number % 4 == 0 else "done", helper=oid(4),
            took=480 + 60 * number, priority="high" if number % 3 else "low", pointer=f"_User${oid(1 + number % 3)}",
            **({"reachedAt": at, "ownerId": oid(1 + number % 3)} if number < 6 else {}),
            parts=[{"id": f"p{number}", "at": at}], more=[{"id": f"m{number}", "at": at}],
        )  # fmt: skip


def fill(database):
    people = [
        user(number, nick=f"nick {number}", banned=number == 2, private=number == 3, zone="Asia/Tokyo")
        for number in (1, 2, 3, 4)
    ]
    database["users"].insert_many(people)
    database["tasks"].insert_many(list(documents()))
    database["chores"].insert_many([task(900 + number) for number in range(3)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    return database


@pytest.fixture
def home(database, monkeypatch):
    monkeypatch.setattr(layouts, "GRACE", 0)
    rules = types.ModuleType("doubled_rules")
    exec("import pandas\ndef points(frame): return pandas.Series(20, index=frame.index, dtype='int64')", vars(rules))
    monkeypatch.setitem(sys.modules, "doubled_rules", rules)
    return fill(database)


def connected(database, parts):
    """A connection under a configuration of which only these parts are unusual."""
    parts = dict(parts)
    settings = config(*parts.pop("sources", [TASKS, SESSIONS]), **parts).allowing(["doubled_rules"])
    return Connection(database.client, settings, database, database, State(database))


def changed(home, change):
    """The app migrated under the old configuration, then a connection under the new one, and what it is to leave."""
    before, after, left = (CHANGES | STANDING)[change]
    commands.run(connected(home, before), to=4, no_backup=True, terms=UNHURRIED)
    return connected(home, after), left


def shown(connection):
    """What everybody is shown, by period and user; an entry of nothing that stands is left out."""
    found = {}
    for name in homes(connection.target, layouts.now(connection.state)):
        for entry in connection.target[name].find():
            told = ("score", "streak", "optOutSnapshot", "displayNameSnapshot", "avatarSnapshot", "reachedAt")
            found[entry["period"], str(entry["userId"])] = tuple(entry.get(field) for field in told)
    return {key: told for key, told in found.items() if told[0] or told[1]}


def made_again(home, connection):
    other = home.client[f"{home.name}_{next(NUMBERS)}"]
    fresh = Connection(home.client, connection.config, fill(other), other, State(other))
    commands.run(fresh, to=4, no_backup=True, terms=UNHURRIED)
    return shown(fresh)


def reasons(connection):
    events = connection.target["score_events"].find({"meta.reason": {"$exists": True}})
    return Counter(event["meta"]["reason"] for event in events)


def findings(connection):
    return {each.subject: each for each in commands.plan(connection).findings}


def typed(connection, command, terms=UNHURRIED):
    """Do what a command says."""
    words = command.split()
    assert words.pop(0) == "lbmigrate"
    match words:
        case ["reconcile", *allowed]:
            allow = int(allowed[1]) if allowed else 0
            commands.reconcile(connection, allow=allow, terms=terms)
        case ["backfill", *full]:
            commands.backfill(connection, scope=Scope(full=bool(full)), terms=terms)
        case ["run"]:
            commands.run(connection, no_backup=True, terms=terms)
        case ["verify"]:
            commands.verify(connection, options=FULL, terms=terms)
        case ["verify", "--repair"]:
            commands.repair(connection, options=FULL, terms=terms)
        case ["recount"]:
            commands.recount(connection, terms=terms)
        case _:
            raise AssertionError(command)


def settled(connection):
    """Type what plan names, and what a refusal of that names."""
    if "rules" not in findings(connection):
        return
    command = findings(connection)["rules"].fix
    try:
        typed(connection, command)
    except Refused as refused:
        typed(connection, re.findall(r"lbmigrate reconcile --allow \d+", str(refused.hint))[-1])


def assert_nothing_of_the_old_is_left(home, connection):
    assert shown(connection) == made_again(home, connection)
    typed(connection, "lbmigrate verify")
    assert not {"rules", "history"} & findings(connection).keys()
    assert not [told for told in commands.status(connection).rules if "changed" in told]
    before = picture(home)
    typed(connection, "lbmigrate reconcile")
    typed(connection, "lbmigrate backfill")
    assert picture(home) == before


@pytest.mark.parametrize("change", [*CHANGES, *STANDING])
def test_what_plan_names_leaves_what_the_new_configuration_makes(home, change):
    connection, left = changed(home, change)
    settled(connection)
    settled(connection)  # of points and of an order each has a command of its own
    assert reasons(connection) == left
    assert_nothing_of_the_old_is_left(home, connection)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["backfill", "backfill --full", "run", "recount", "verify", "verify --repair"])
@every_change
def test_every_verb_tells_of_the_change_and_nothing_that_it_does_is_in_the_way(home, change, command):
    connection, _ = changed(home, change)
    heard = []
    terms = replace(UNHURRIED, listen=lambda report: heard.append(report.piece.warning if report.piece else ""))
    with suppress(Mismatch, Refused):
        typed(connection, f"lbmigrate {command}", terms)
    assert any("since the ledger was scored: " in each and "next: lbmigrate reconcile" in each for each in heard)
    settled(connection)
    assert_nothing_of_the_old_is_left(home, connection)


def test_a_backfill_under_other_clocks_notes_them_beside_the_other_parts(home):
    connection, _ = changed(home, "days by each user's own clocks")
    before, now = kept_parts(connection.context()), applied_rules(connection.config)
    typed(connection, "lbmigrate backfill")
    assert kept_parts(connection.context()) == before | {"users.timezone": MIXED}
    typed(connection, "lbmigrate backfill --full")
    assert kept_parts(connection.context()) == before | {"users.timezone": now["users.timezone"]}
