"""Which members of a replica set a run waits for, and what doctor says of them. No server needed."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from lbmigrate.checks import topology
from lbmigrate.checks.finding import Finding
from lbmigrate.run.indicators import NORMAL, Level, replication_lag
from lbmigrate.run.members import has_majority, members, survives
from tests.apps import config

NOON = dt.datetime(2026, 3, 1, 12)
TEN = dt.timedelta(seconds=10)
REFUSED = {"health": 0, "stateStr": "(not reachable/healthy)", "lastHeartbeatMessage": "… Connection refused"}


def silent(seconds: float) -> dict[str, Any]:
    heard = NOON - dt.timedelta(seconds=seconds)
    return {"health": 0, "stateStr": "(not reachable/healthy)", "lastHeartbeatRecv": heard}


def status(name: str, state: str = "SECONDARY", behind: float = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "stateStr": state, "health": 1, "optimeDate": NOON - dt.timedelta(seconds=behind), **more}


def a_set(*told: tuple[dict[str, Any], dict[str, Any]]) -> Any:
    """A database of a set with a primary `a:1` and these members: how each stands, and how it is configured."""
    every = [(status("a:1", "PRIMARY"), {}), *told]
    settings = [{"host": each["name"], "votes": 1, **more} for each, more in every]
    answers = {
        "replSetGetStatus": {"date": NOON, "members": [each for each, _ in every]},
        "replSetGetConfig": {"config": {"members": settings}},
    }
    return SimpleNamespace(client=SimpleNamespace(admin=SimpleNamespace(command=answers.__getitem__)))


def at_once(_: float) -> None:
    """What waits between two looks, where the second would see the same."""


ARBITER = (status("z:1", "ARBITER"), {"arbiterOnly": True})
FINE = (status("c:1"), {})


@pytest.mark.parametrize(
    ("how", "settings", "reason"),
    [
        (status("b:1", behind=11), {}, "b:1 is 11 s behind"),
        (status("b:1", behind=9), {}, ""),
        (status("b:1", behind=11), {"hidden": True, "priority": 0}, "b:1 is 11 s behind"),  # it votes
        (status("b:1", behind=11), {"votes": 0, "priority": 0}, "b:1 is 11 s behind"),  # clients read from it
        (status("b:1", behind=11), {"votes": 0, "priority": 0, "hidden": True}, ""),
        (status("b:1", behind=3600), {"hidden": True, "secondaryDelaySecs": 3600}, ""),
        (status("b:1", behind=3600), {"hidden": True, "slaveDelay": 3600}, ""),  # as 4.4 calls it
        (status("b:1", behind=3600), {"secondaryDelaySecs": 3600, "votes": 0}, ""),
        (status("b:1", "RECOVERING"), {}, "b:1 is RECOVERING"),
        (status("b:1", "STARTUP2"), {"votes": 0}, ""),
        (status("b:1") | silent(12), {}, "b:1 is not reachable"),
        (status("b:1") | silent(60), {}, ""),  # out of service
        (status("b:1") | silent(12), {"votes": 0}, ""),
        (status("b:1") | REFUSED, {}, ""),
    ],
)
def test_a_run_waits_for_those_who_vote_or_serve_reads(how, settings, reason):
    reading = replication_lag(a_set((how, settings), FINE), TEN, at_once)()
    assert (reading.reason, reading.level) == (f"replication lag: {reason}" if reason else "", reading.level)
    assert (reading.level is Level.STOP) is bool(reason)


def test_a_run_does_not_wait_for_a_member_that_the_configuration_names_and_says_which_setting_that_is():
    late = a_set((status("B:1", behind=99), {}), FINE)
    assert "throttle.ignore_members" in str(replication_lag(late, TEN, at_once)())
    assert replication_lag(late, TEN, at_once, ["b:1"])() == NORMAL


def test_without_the_right_to_see_the_configuration_every_member_counts():
    def command(name: str) -> Any:
        if name == "replSetGetConfig":
            raise OperationFailure("not authorized", 13)
        return {"date": NOON, "members": [status("a:1", "PRIMARY"), status("b:1", behind=11)]}

    database: Any = SimpleNamespace(client=SimpleNamespace(admin=SimpleNamespace(command=command)))
    assert replication_lag(database, TEN, at_once)().reason == "replication lag: b:1 is 11 s behind"


@pytest.mark.parametrize(("a_second_later", "reason"), [(0, ""), (12, "b:1 is 12 s behind")])
def test_a_member_that_had_nothing_to_copy_is_not_late_when_it_has_the_next_write_at_once(a_second_later, reason):
    looks = [a_set((status("b:1", behind=11), {}), FINE), a_set((status("b:1", behind=a_second_later), {}), FINE)]
    now, waited = [looks[0]], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[:] = looks[1:]

    def command(name: str) -> Any:
        return now[0].client.admin.command(name)

    database: Any = SimpleNamespace(client=SimpleNamespace(admin=SimpleNamespace(command=command)))
    reading = replication_lag(database, TEN, wait)()
    assert reading.reason == (f"replication lag: {reason}" if reason else "")
    assert 0 < sum(waited) <= 1


def test_where_nobody_is_late_nothing_waits():
    assert replication_lag(a_set(FINE), TEN, pytest.fail)() == NORMAL


@pytest.mark.parametrize("written", [0, 3600])
def test_the_only_member_of_a_set_is_never_late(written):
    only = a_set()
    only.client.admin.command("replSetGetStatus")["members"][0]["optimeDate"] -= dt.timedelta(seconds=written)
    assert replication_lag(only, TEN, pytest.fail)() == NORMAL


# --- majorities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "with_one_less", "now"),
    [
        ([(status("b:1"), {}), FINE], True, True),
        ([(status("b:1"), {})], False, True),
        ([(status("b:1"), {}), ARBITER], False, True),
        ([(status("b:1") | silent(99), {}), ARBITER], False, False),
        ([(status("b:1") | REFUSED, {}), FINE], True, True),
        ([(status("b:1", behind=60), {"secondaryDelaySecs": 60, "hidden": True}), FINE], False, True),
        ([(status("b:1"), {"votes": 0}), FINE], False, True),
        ([(status(f"{name}:1"), {}) for name in "bcde"], True, True),
        ([(status("b:1"), {}), FINE, ARBITER, (status("y:1", "ARBITER"), {})], False, True),
    ],
)
def test_a_set_keeps_its_majority_or_loses_it_with_one_member(others, with_one_less, now):
    found = members(a_set(*others))
    assert (survives(found), has_majority(found)) == (with_one_less, now)


# --- what doctor says ------------------------------------------------------------------------------------------------


def told(*others: Any, uri: str = "mongodb://HOST/", **throttle: Any) -> list[Finding]:
    allowed = config(throttle=throttle, database={"uri": uri})
    context: Any = SimpleNamespace(config=allowed, sources=a_set(*others))
    return [each for each in topology.findings(context) if each.subject != "write concern"]


def test_there_is_nothing_to_say_of_a_set_that_is_well():
    assert told((status("b:1"), {}), FINE) == []


@pytest.mark.parametrize(
    ("how", "settings", "level", "fact"),
    [
        (status("b:1") | silent(12), {}, "warning", "b:1 cannot be reached: a run may hold until it is back"),
        (status("b:1") | silent(99), {}, "warning", "b:1 cannot be reached: no run waits for it"),
        (status("b:1") | silent(12), {"votes": 0}, "warning", "b:1 cannot be reached: no run waits for it"),
        (status("b:1", "RECOVERING"), {}, "warning", "b:1 is RECOVERING: a run may hold until it is back"),
        (
            status("b:1", behind=3600),
            {"secondaryDelaySecs": 3600, "votes": 0},
            "ok",
            "b:1 stays 3600 s behind on purpose",
        ),
        (status("b:1", behind=70), {}, "warning", "b:1 is 70 s behind: a run holds"),
    ],
)
def test_a_member_is_described_as_it_is(how, settings, level, fact):
    found = told((how, settings), FINE, (status("d:1"), {}))
    assert [(each.level, each.fact[: len(fact)]) for each in found] == [(level, fact)]


def test_an_arbiter_that_is_gone_is_named_and_nobody_waits_for_it():
    found = told((status("b:1"), {}), FINE, (status("z:1", "ARBITER", health=0), {}))
    assert found[0].fact == "z:1, an arbiter, cannot be reached"


def test_a_set_that_loses_its_majority_with_one_member_is_warned_of():
    assert [each.subject for each in told((status("b:1"), {}), ARBITER)] == ["majority"]
    assert [each.subject for each in told((status("b:1"), {}))] == ["majority"]
    assert told() == [], "of a set of one everybody knows"


def test_a_set_that_has_no_majority_now_is_told_so():
    found = told((status("b:1") | silent(99), {}), ARBITER)
    assert "no majority has what is written at the moment" in found[-1].fact


def test_a_name_to_ignore_that_no_member_has_is_named():
    found = told((status("b:1"), {}), FINE, ignore_members=["b", "c:1"])
    assert found[0].fact == "c:1: no run waits for it, as throttle.ignore_members says"
    assert ["'b'" in found[1].fact, found[1].level] == [True, "warning"]
