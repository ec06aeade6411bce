"""`plan --estimate` on a real server: it writes nothing, counts what is left, and says what it could not look at."""

from __future__ import annotations

import datetime as dt

import pytest

from benchmarks.estimate import rules
from lbmigrate.estimate import tasks as looking
from lbmigrate.estimate import yardstick
from lbmigrate.estimate.fitted import fitted
from lbmigrate.estimate.sample import Allowance
from lbmigrate.estimate.users import GUESSED
from lbmigrate.run.connection import connect
from tests.apps import NEW_YEAR, oid

TASKS, PEOPLE = 1_800, 40
PACE = {"chunk_size": 200, "workers": 2, "target": None}


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    """This machine is as fast as the reference, and idle: no test looks at how fast it really is."""
    usual = yardstick.Taken(fitted().yardsticks["client"], 1.0)
    monkeypatch.setattr(yardstick.Client, "take", lambda here: here.taken.append(usual))


@pytest.fixture
def app(database, terminal):
    """Tasks of some users over half a year, two thirds of them done; some users do much more than others."""
    database["users"].insert_many([{"_id": oid(n), "name": f"Member {n}"} for n in range(PEOPLE)])
    database["tasks"].insert_many([task(n) for n in range(TASKS)])
    database["tasks"].create_index("userId")
    database["tasks"].create_index("updatedAt")
    terminal.configure(source(), backfill=PACE)
    return database


def source(**more):
    return {
        "name": "tasks", "collection": "tasks", "action": "done", "where": {"status": "done"}, "user": "userId",
        "at": "completedAt", "updated": "updatedAt", "points": 10, **more,
    }  # fmt: skip


def task(number):
    at = NEW_YEAR + dt.timedelta(hours=2 * number)
    owner = oid((number * number // 7) % PEOPLE % (1 + number % PEOPLE))
    return {"_id": oid(10_000 + number), "userId": owner, "status": "open" if number % 3 == 2 else "done",
            "completedAt": at, "updatedAt": at}  # fmt: skip


def hashes(database):
    """Of everything on the server that this test knows: databases, and every document of the app's."""
    told = database.command("dbHash")
    return told["collections"], sorted(database.list_collection_names())


def estimate_of(terminal, *more):
    return terminal("plan", "--estimate", "--json", *more).result["estimate"]


def test_an_estimate_writes_nothing_and_exits_as_the_plan_does(app, terminal):
    before = hashes(app)
    done = terminal("plan", "--estimate", "--json", "--executor", "processes", "--workers", "3")
    assert done.code == 3
    assert hashes(app) == before
    found = done.result["estimate"]
    assert found["work"]["documents"] == found["work"]["events"] == TASKS * 2 // 3
    assert found["work"]["examined"] == TASKS
    assert found["executors"] == {"workers": 3, "processes": True}
    for name in ("seconds", "client", "server", "disk", "oplog", "memory"):
        assert 0 < found[name]["low"] < found[name]["likely"] < found[name]["high"], name
    assert found["oplog_hours"] > 0
    assert found["surroundings"]["shared"]


@pytest.mark.slow
def test_users_and_entries_are_told_from_a_few_users_as_a_run_then_finds_them(app, terminal):
    work = estimate_of(terminal)["work"]
    assert terminal("run").code == 0
    assert work["entries"] == pytest.approx(app["leaderboard_entries"].count_documents({}), rel=0.25)
    assert work["users"] == pytest.approx(len(app["score_events"].distinct("userId")), rel=0.35)


@pytest.mark.slow
def test_what_is_done_is_not_estimated_again(app, terminal):
    whole = estimate_of(terminal)["work"]["documents"]
    assert terminal("run", "--max-docs", str(TASKS // 3)).code == 3
    left = estimate_of(terminal)["work"]
    assert 0 < left["documents"] < whole
    assert left["gathered"] == pytest.approx(whole)
    assert terminal("run").code == 0
    done = terminal("plan", "--estimate")
    assert done.code == 0
    assert "nothing to estimate: no documents to read" in done.out


def test_an_estimate_of_no_documents_does_not_say_that_nothing_is_to_do_while_steps_are_pending(database, terminal):
    database["users"].insert_one({"_id": oid(1), "name": "Member 1"})
    database.create_collection("tasks")
    terminal.configure(source(), backfill=PACE)
    looked = terminal("plan", "--estimate")
    assert looked.code == 3
    assert "nothing to estimate: no documents to read" in looked.out
    assert "nothing is left to do" not in looked.out


@pytest.mark.slow
def test_a_later_pass_is_estimated_by_what_has_changed(app, terminal):
    assert terminal("run").code == 0
    app["tasks"].insert_many([{**task(n), "_id": oid(90_000 + n)} for n in range(TASKS - 90, TASKS)])
    work = estimate_of(terminal)["work"]
    assert work["events"] <= 90
    assert work["documents"] < 600


@pytest.mark.slow
def test_a_rule_of_ones_own_costs_what_a_sample_of_it_costs(app, terminal, monkeypatch):
    plain = estimate_of(terminal)["work"]["scoring"]
    monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", "benchmarks.estimate.rules")
    terminal.configure(source(points="benchmarks.estimate.rules:laborious"), backfill=PACE)
    work = estimate_of(terminal)["work"]
    assert work["scoring"] > 5 * plain
    assert work["apart"] == work["documents"]


@pytest.mark.slow
def test_without_an_index_that_leads_to_users_entries_are_guessed_and_the_bounds_are_wider(app, terminal):
    known = estimate_of(terminal)
    app["tasks"].drop_index("userId_1")
    guessed = estimate_of(terminal)
    assert guessed["calibration"]["users"] == 0 < known["calibration"]["users"]
    assert 1 / (1 + GUESSED) < known["work"]["entries"] / guessed["work"]["entries"] < 1 + GUESSED
    [wide, narrow] = [each["disk"]["high"] / each["disk"]["low"] for each in (guessed, known)]
    assert wide > narrow


@pytest.mark.slow
def test_a_pace_that_is_set_is_part_of_the_time(app, terminal):
    terminal.configure(source(), backfill=PACE, throttle={"documents_per_second": 10})
    found = estimate_of(terminal)
    assert found["seconds"]["likely"] == pytest.approx(TASKS * 2 / 3 / 10)


def test_where_no_document_could_be_looked_at_entries_are_expected_with_wide_bounds(app, terminal, monkeypatch):
    known = estimate_of(terminal)
    monkeypatch.setattr(looking.sample, "take", lambda *_: looking.sample.Sample())
    found = estimate_of(terminal)
    assert found["calibration"]["documents"] == 0 < known["calibration"]["documents"]
    assert found["work"]["entries"] > 0 < found["work"]["users"]
    for name in ("seconds", "disk", "oplog"):
        assert found[name]["low"] < known[name]["likely"] < found[name]["high"], name
    assert any("no document could be looked at" in each for each in found["assumed"])


@pytest.mark.slow
def test_fewer_documents_are_looked_at_where_scoring_them_takes_long(app, terminal, monkeypatch):
    monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", "benchmarks.estimate.rules")
    terminal.configure(source(points="benchmarks.estimate.rules:laborious"), backfill=PACE)
    app["tasks"].insert_many([task(n) for n in range(TASKS, 4 * TASKS)])
    monkeypatch.setattr(looking.sample, "WIDTH", 100)
    monkeypatch.setattr(rules, "STEPS", 100 * rules.STEPS)
    slow = estimate_of(terminal)
    assert 0 < slow["calibration"]["documents"] <= 300
    assert slow["work"]["apart"] == slow["work"]["documents"] == 4 * TASKS * 2 // 3


@pytest.mark.slow
def test_looking_at_documents_ends_when_its_time_is_over(app, terminal):
    from lbmigrate.config.load import load_config

    with connect(load_config(terminal.config)) as opened:
        nothing = Allowance(0.0)
        found = looking.readings(opened.context(), nothing)
        work, _ = looking.work(opened.context(), found, 0, nothing)
    assert nothing.read <= 2 * looking.sample.WIDTH
    assert work.documents == TASKS * 2 // 3


def test_workers_without_an_estimate_are_refused_and_with_it_are_not(app, terminal, monkeypatch):
    refused = terminal("plan", "--workers", "4")
    assert (refused.code, refused.hint) == (2, "add --estimate, or leave out --workers")
    assert terminal("plan", "--estimate", "--workers", "4").code == 3
    monkeypatch.setenv("LBMIGRATE_WORKERS", "4")
    assert terminal("plan").code == 3


def advice_on(terminal, subject, *more):
    return next(each["fix"] for each in estimate_of(terminal, *more)["advice"] if each["subject"] == subject)


@pytest.mark.slow
def test_the_number_of_workers_that_is_advised_can_be_typed(app, terminal):
    fix = advice_on(terminal, "workers", "--workers", "64")
    assert fix.startswith("lbmigrate run --workers ")
    assert terminal(*fix.split()[1:]).code == 0
    assert terminal("plan", "--estimate").code == 0


@pytest.mark.slow
def test_processes_that_are_advised_can_be_typed(app, terminal, monkeypatch):
    cores = "lbmigrate.estimate.calibration.cores_here"
    monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", "benchmarks.estimate.rules")
    terminal.configure(source(points="benchmarks.estimate.rules:laborious"), backfill=PACE)
    app["tasks"].insert_many([task(n) for n in range(TASKS, 20 * TASKS)])
    with monkeypatch.context() as slower:
        slower.setattr(cores, lambda: 8)
        slower.setattr(rules, "STEPS", 50 * rules.STEPS)
        fix = advice_on(terminal, "processes")
    assert fix.startswith("lbmigrate run --executor processes --workers ")
    assert terminal("run", "--executor", "processes", "--workers", "2").code == 0


@pytest.mark.parametrize("busy", [1.0, 3.0])
def test_a_machine_that_others_keep_busy_makes_a_run_longer_and_its_bounds_wider(app, terminal, monkeypatch, busy):
    [idle] = [estimate_of(terminal)["seconds"]]
    usual = fitted().yardsticks["client"]
    monkeypatch.setattr(yardstick.Client, "take", lambda here: here.taken.append(yardstick.Taken(usual, busy)))
    found = estimate_of(terminal)
    assert found["seconds"]["likely"] == pytest.approx(busy * idle["likely"], rel=0.1)
    assert found["seconds"]["low"] <= idle["likely"] * 1.05
    assert found["seconds"]["high"] >= 2 * (busy - 1) * idle["likely"]
    told = [each["fact"] for each in found["advice"] if each["subject"] == "this machine"]
    assert len(told) == (busy > 1)
