"""What `status`, `history` and the monitor's one line say is true, while a run goes on and after it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest

from lbmigrate import commands
from lbmigrate.migration.account import Account
from lbmigrate.migration.runner import Terms
from lbmigrate.records import Checkpoint, Counts, Piece, Work
from lbmigrate.state import State
from lbmigrate.state.judge import judge
from tests.apps import SESSIONS, TASKS, App, config, task

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def rows(client):
    return State(client["app"]).rows


def newest(rows):
    return next(rows.find({"kind": "run"}).sort("startedAt", -1).limit(1))


# --- while a run goes on -------------------------------------------------------------------------------------------


def seen_during(connection, rows, moment, **options):
    """The status as somebody else sees it when the run has come to `moment`, which looks at each report."""
    found = []

    def listen(report):
        if not found and moment(report):
            found.append(commands.status(connection))

    commands.run(connection, terms=Terms(listen=listen), **options)
    return found[0]


@pytest.fixture
def connection(client, terminal):
    from lbmigrate.config.load import load_config
    from lbmigrate.run.connection import connection

    return connection(client, load_config(terminal.configure(TASKS, SESSIONS)))


def test_a_run_in_the_middle_is_shown_with_its_share_its_rate_and_a_total_of_chunks_that_does_not_grow(
    app, connection, rows
):
    app["tasks"].insert_many([task(number) for number in range(100, 194)])
    seen = []

    def listen(report):
        if report.piece and report.piece.subject == "tasks" and report.piece.counts:
            seen.append(commands.status(connection).sources[0])

    commands.run(connection, no_backup=True, terms=Terms(listen=listen))
    assert [source.chunks_in_all for source in seen] == [20] * 20
    assert [source.progress.done for source in seen] == list(range(5, 101, 5))
    assert [source.progress.percent for source in seen] == list(range(5, 101, 5))
    assert all(source.progress.rate > 0 for source in seen)
    assert all(source.progress.seconds_left is not None for source in seen[:-1])


def test_the_total_of_a_pass_is_the_one_that_it_began_with_though_documents_came_meanwhile(app, connection, client):
    app["tasks"].insert_many([task(number) for number in range(100, 150)])
    begun = seen_during(connection, None, lambda report: report.piece and report.piece.counts, no_backup=True)
    assert begun.sources[0].progress.total == 56
    done = commands.status(connection).sources[0]
    assert (done.progress.done, done.progress.total, done.progress.percent) == (56, 56, 100)
    assert done.progress.rate is None, "nothing is going on"


def test_the_entries_have_a_line_of_their_own(app, connection, rows):
    found = seen_during(connection, rows, lambda report: report.piece and report.piece.entries, no_backup=True)
    assert [(each.subject, each.unit) for each in found.progress] == [("entries", "users")]
    assert found.running["progress"]["workers"] == 2


# --- time ----------------------------------------------------------------------------------------------------------


def test_time_held_is_no_active_time_and_is_kept_by_what_held():
    clock = iter([0.0, 10.0, 15.0, 75.0, 80.0, 80.0])
    account = Account(_context(), lambda: next(clock))
    account.begin("4 backfill")
    account.take(Piece("tasks", 100, 1_000, counts=Counts(100, 100)))
    account.take(Piece("tasks", 100, 1_000, held="lag", hold_kind="replication_lag"))
    account.take(Piece("tasks", 100, 1_000))
    account.take(Piece("tasks", 200, 1_000, counts=Counts(100, 90, 10)))
    told = account.row()["progress"]
    assert (told["documents"], told["events"]) == (200, 190)
    assert (told["active"], told["held"]) == (20.0, {"replication_lag": 60.0})
    assert account.lines["tasks"].rate == 10.0
    assert account.lines["tasks"].seconds_left == 80.0


def _context():
    from types import SimpleNamespace

    from lbmigrate.run.pace import Pace

    return SimpleNamespace(pace=Pace(), clock=lambda: dt.datetime(2026, 1, 1))


def test_what_an_earlier_run_has_read_counts_as_done_and_not_as_fast():
    clock = iter([0.0, 10.0])
    account = Account(_context(), lambda: next(clock))
    account.take(Piece("tasks", 900, 1_000, counts=Counts(100, 100)))
    assert (account.lines["tasks"].done, account.lines["tasks"].rate) == (900, 10.0)


def test_what_the_record_keeps_is_as_its_shape_says(app, terminal, rows):
    assert terminal("run").code == 0
    assert [flaw for row in rows.find({}) for flaw in judge(row)[1]] == []
    assert {"documents", "held", "lines", "perSecond"} <= newest(rows)["progress"].keys()


def test_a_record_of_an_earlier_version_is_not_told_as_damaged(migrated, terminal, rows):
    rows.update_many({"kind": "run"}, {"$set": {"marks": {"version": "0.1.0", "digest": "d51681a99735"}}})
    assert [flaw for row in rows.find({"kind": "run"}) for flaw in judge(row)[1]] == []
    assert "marks" not in terminal("status").err


# --- history -------------------------------------------------------------------------------------------------------


def test_history_has_what_each_run_did(migrated, terminal):
    migrated["tasks"].insert_many([task(100), task(101, userId=None)])
    assert terminal("backfill").code == 0
    rows = terminal("history", "--json").result["runs"]
    backfill, run = ({name: row["progress"][name] for name in ("documents", "events", "entries", "rejects")}
                     for row in rows)  # fmt: skip
    assert (run["documents"], run["events"], run["rejects"]) == (6, 6, 0)
    assert run["entries"] == migrated["leaderboard_entries"].count_documents({}) - 1
    assert backfill["rejects"] == 1
    assert backfill["events"] == 1
    shown = terminal("history").out
    assert re.search(r"documents +events +entries +rejects +rate", shown)


def test_a_run_that_died_keeps_what_it_had_done_and_is_there_to_go_on_with(migrated, terminal, rows):
    run = newest(rows)
    rows.update_one({"_id": run["_id"]}, {"$set": {"outcome": "running"}, "$unset": {"endedAt": ""}})
    found = terminal("status")
    assert "run died" in found.out
    assert "next: lbmigrate run" in found.out
    [died] = terminal("status", "--json").result["unfinished"]
    assert died["progress"]["documents"] == 6
    assert terminal("run").code == 0
    assert terminal("status", "--json").result["unfinished"] == [], "the command has ended the situation"


def test_a_dead_run_is_told_of_though_another_kind_of_work_was_done_since(migrated, terminal, rows):
    run = newest(rows)
    rows.update_one({"_id": run["_id"]}, {"$set": {"outcome": "running"}, "$unset": {"endedAt": ""}})
    assert terminal("flag", "read", "off").code == 0
    assert "to go on" in terminal("status").out
    assert terminal("backfill").code == 0, "which goes on with it as well"
    assert "to go on" not in terminal("status").out


# --- a monitor -----------------------------------------------------------------------------------------------------


def older(rows, name, path, by):
    row = rows.find_one({"_id": name})
    rows.update_one({"_id": name}, {"$set": {path: row[path] - by}})


def test_all_is_well_in_one_line_and_nothing_else(migrated, terminal):
    found = terminal("status", "--health")
    assert (found.code, found.err) == (0, "")
    assert re.fullmatch(r"ok, read \d+ s ago, verified .* ago\n", found.out)
    assert terminal("status", "--health", "--max-staleness", "2h").code == 0


@pytest.mark.parametrize("what", ["watermark", "verdict"])
def test_what_is_older_than_it_may_be_exits_3_with_the_command_that_ends_it(migrated, terminal, rows, what):
    if what == "watermark":
        older(rows, "watermark:tasks", "freshAt", 3 * HOUR)
    else:
        older(rows, "verdict", "at", 3 * HOUR)
    for words in (["--max-staleness", "2h"], ["--health", "--max-staleness", "2h"]):
        found = terminal("status", *words)
        assert found.code == 3
        assert "3 h ago" in found.out + found.err
    line = terminal("status", "--health", "--max-staleness", "2h").out
    assert line.count("\n") == 1
    command = line.rpartition("next: lbmigrate ")[2].split()
    assert terminal("status", "--health").code == 0, "how old it may be was not said"
    assert terminal("status", "--max-staleness", "4h").code == 0
    assert terminal(*command).code == 0
    assert terminal("status", "--max-staleness", "2h").code == 0, "the command has ended it"


def test_a_source_whose_app_is_silent_is_fresh_as_long_as_it_is_read(migrated, terminal, rows):
    rows.update_one({"_id": "watermark:tasks"}, {"$set": {"value": dt.datetime(2025, 1, 1)}})
    assert terminal("status", "--max-staleness", "1h").code == 0


def test_nothing_migrated_yet_is_work_that_remains(app, terminal):
    found = terminal("status", "--health")
    assert (found.code, found.out) == (3, "not well: nothing was migrated yet; next: lbmigrate run\n")


def test_a_failed_verdict_is_a_mismatch_and_goes_before_what_only_waits(migrated, terminal, rows):
    rows.update_one({"_id": "verdict"}, {"$set": {"passed": False, "mismatches": 3}})
    older(rows, "watermark:tasks", "freshAt", 3 * HOUR)
    found = terminal("status", "--health", "--max-staleness", "2h", "--json")
    assert (found.code, found.result["code"]) == (5, 5)
    assert [each["code"] for each in found.result["troubles"]] == [5, 3]


def test_a_ledger_that_is_gone_is_refused(migrated, terminal):
    migrated.drop_collection("score_events")
    found = terminal("status", "--health")
    assert found.code == 6
    assert found.out.count("\n") == 1


def test_a_run_that_failed_is_a_failure_and_a_tail_that_nobody_runs_is_work(migrated, terminal, rows):
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    rows.insert_one({"_id": "tail", "kind": "tail", "fence": 0, "layout": 1, "at": now})
    found = terminal("status", "--health")
    assert (found.code, "next: lbmigrate tail" in found.out) == (3, True)
    rows.update_one({"_id": newest(rows)["_id"]}, {"$set": {"outcome": "failed", "error": "no"}})
    assert terminal("status", "--health").code == 1


def test_a_tail_that_was_stopped_on_purpose_wakes_nobody_and_one_that_died_does(migrated, terminal, rows):
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    rows.insert_one({"_id": "tail", "kind": "tail", "fence": 0, "layout": 1, "at": now, "stoppedAt": now})
    run = {"_id": "run:t", "kind": "run", "fence": 0, "layout": 1, "verb": "tail", "startedAt": now + HOUR}
    rows.insert_one({**run, "options": {"command": "lbmigrate tail"}, "outcome": "stopped"})
    assert terminal("status", "--health").code == 0
    status = terminal("status").out
    assert ("to go on" in status, "stopped" in status) == (False, True)
    rows.update_one({"_id": "tail"}, {"$set": {"stoppedAt": None}})
    rows.update_one({"_id": "run:t"}, {"$set": {"outcome": "running"}})
    assert terminal("status", "--health").code == 3


def test_watching_needs_a_terminal_and_goes_with_nothing_else(migrated, terminal):
    found = terminal("status", "--watch")
    assert (found.code, "--health" in found.hint) == (2, True)
    assert terminal("status", "--watch", "--json").code == 2


def test_what_a_hold_ends_with_is_kept_and_gone_with_it(app, rows):
    driver_app = App(app, config())
    from lbmigrate.migration.driver import Driver

    context = driver_app.context(run="r")
    driver = Driver(context, account=Account(context))
    held = Piece("a", held="paused by ada", hold_kind="pause", ends="lbmigrate resume")
    seen = []
    driver.listen = lambda report: seen.append(rows.find_one({"_id": "run:r"}) or {})
    driver.carry_out(Work("it"), iter([held, Piece("a", 1, 2, checkpoint=Checkpoint("odd", {"count": 1}))]))
    assert [row.get("heldEnds") for row in seen[1:3]] == ["lbmigrate resume", None]


def test_a_pause_is_shown_with_what_ends_it(migrated, terminal):
    assert terminal("pause").code == 0
    [line] = [line for line in terminal("status").out.splitlines() if line.startswith("paused")]
    assert line.endswith("next: lbmigrate resume")
    assert terminal("resume").code == 0
    assert "paused" not in terminal("status").out


def test_a_hold_is_shown_with_the_reason_since_when_and_what_ends_it(app, connection, terminal):
    stop = connection.config.throttle.flag_file
    assert stop is None
    held = connection.config.throttle.model_copy(update={"flag_file": str(terminal.config.parent / "stop")})
    here = replace(connection, config=connection.config.model_copy(update={"throttle": held}))
    flag, seen = terminal.config.parent / "stop", []
    flag.touch()

    def listen(report):
        if report.piece and report.piece.held:
            seen.append(terminal("status").out)
            flag.unlink()

    commands.run(here, no_backup=True, terms=Terms(listen=listen))
    [line] = [line for line in seen[0].splitlines() if line.startswith("held")]
    assert re.search(rf"{flag} exists, since \S+Z; ends when somebody removes {flag}", line)
    assert "held" not in terminal("status").out
