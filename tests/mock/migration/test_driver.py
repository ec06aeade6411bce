"""The one driver of all work: a piece is saved before the next is asked for, whatever kind of work it belongs to."""

from __future__ import annotations

import datetime as dt
import signal
from itertools import pairwise

import pytest

from lbmigrate.console.looks import looks
from lbmigrate.errors import LbmigrateError, LeaseLost
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.status import status as status_of
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.records import Checkpoint, Copied, Piece, Way, Work
from lbmigrate.run.context import VerifyOptions
from tests.apps import App, config, task, user

WORK = Work("carrying")
AT_LAST = dt.datetime(2027, 1, 1)  # later than every other change


@pytest.fixture
def app():
    with fake.client() as client:
        app = App(client["app"], config())
        app.database["users"].insert_one(user(1))
        app.database["tasks"].insert_many([task(number) for number in range(12)])
        yield app


def saved(app):
    return app.state.get("odd").get("count")


def test_a_piece_is_saved_and_reported_before_the_next_one_is_asked_for(app):
    heard, seen = [], []

    def pieces():
        for number in (1, 2, 3):
            seen.append((saved(app), len(heard)))
            yield Piece("it", number, 3, checkpoint=Checkpoint("odd", {"count": number}))

    app.state.put(Checkpoint("odd", {"count": 0}))
    driver = Driver(app.context(), listen=heard.append)
    driver.carry_out(WORK, (piece for piece in pieces()))
    assert [count for _, count in seen] == [1, 2, 3]  # the begin, and every piece before
    assert app.state.get("odd")["count"] == 3


def test_the_counts_of_all_pieces_are_added_up_and_told_at_the_end(app):
    heard = []
    driver = Driver(app.context(), listen=heard.append)
    counts = driver.carry_out(WORK, iter([Piece("a", counts=Copied(2)), Piece("b"), Piece("c", counts=Copied(3))]))
    assert counts == heard[-1].counts == Copied(5)
    assert [(report.event, report.work, report.way) for report in heard[:: len(heard) - 1]] == [
        ("begin", WORK, Way.APPLY),
        ("end", WORK, Way.APPLY),
    ]


def test_work_that_counts_nothing_has_no_counts(app):
    assert Driver(app.context()).carry_out(WORK, iter([Piece("a")])) is None


def test_nothing_is_saved_once_the_guard_objects(app):
    def guard():
        raise LeaseLost("gone")

    made = iter([Piece("a", checkpoint=Checkpoint("odd", {"count": 1}))])
    with pytest.raises(LeaseLost):
        Driver(app.context(), guard).carry_out(WORK, made)
    assert app.state.get("odd") == {}


def test_a_step_is_applying_while_it_is_at_work_and_applied_afterwards(app):
    seen = []
    driver = Driver(app.context(), listen=lambda report: seen.append(app.state.step(4).get("status")))
    assert driver.apply(STEPS[3:4])["backfill"].emitted == 12
    assert seen == ["applying"] * (len(seen) - 1) + ["applied"]


def test_a_step_that_is_stopped_stays_applying_and_the_next_run_finishes_it(app):
    context = app.context()

    def stop_at_the_first_chunk(report):
        if report.piece and report.piece.counts:
            context.stop.request(signal.SIGTERM)

    heard = []
    driver = Driver(context, listen=lambda report: (heard.append(report.event), stop_at_the_first_chunk(report)))
    driver.apply(STEPS[3:5])
    assert heard[-1] == "piece"
    assert (app.state.step(4)["status"], app.state.step(5)) == ("applying", {})
    app.apply()
    assert {row["status"] for row in app.state.of_kind("step")} == {"applied"}


def test_a_step_that_fails_stays_applying(app):
    with pytest.raises(LbmigrateError):
        Driver(app.context(), guard=_fail_at(3)).apply(STEPS)
    assert "applying" in {row["status"] for row in app.state.of_kind("step")}


def _fail_at(number):
    left = [number]

    def guard():
        left[0] -= 1
        if not left[0]:
            raise LbmigrateError("no more")

    return guard


def test_reverting_goes_from_the_last_step_to_the_first_and_says_so(app):
    app.apply()
    heard = []
    Driver(app.context(), listen=heard.append).revert(STEPS)
    assert [report.work.number for report in heard if report.event == "begin"] == [6, 5, 4, 3, 2, 1]
    assert {report.way for report in heard} == {Way.REVERT}
    assert {row["status"] for row in app.state.of_kind("step")} == {"reverted"}


def test_a_hold_whose_reason_changes_is_one_hold(app):
    held = [Piece("a", held="lag of 11 s"), Piece("a", held="lag of 12 s"), Piece("a"), Piece("a", held="paused")]
    rows = []
    driver = Driver(app.context(run="r"), listen=lambda report: rows.append(app.state.get("run:r")))
    driver.carry_out(WORK, iter(held))
    assert [row.get("held") for row in rows[1:5]] == ["lag of 11 s", "lag of 12 s", None, "paused"]
    since = [row["heldSince"] for row in rows[1:5]]
    assert since[0] == since[1] < since[3]


def test_every_status_that_a_life_writes_follows_the_table_of_moves(app):
    from lbmigrate.state.statuses import MOVES, ChunkStatus, StepStatus

    seen: dict[str, list[str]] = {}

    def watch(_report):
        rows = {row["_id"]: row["status"] for row in app.state.rows.find({"status": {"$exists": True}})}
        for gone in seen.keys() - rows.keys():  # a rollback removes chunks; those of the next run are others
            del seen[gone]
        for name, status in rows.items():
            if seen.setdefault(name, [status])[-1] != status:
                seen[name].append(status)

    for work in ("apply", "revert", "apply"):
        getattr(Driver(app.context(), listen=watch), work)(STEPS)
    assert len(seen) > 6
    for name, history in seen.items():
        kind = StepStatus if name.startswith("step:") else ChunkStatus
        for before, after in pairwise(history):
            assert kind(after) in MOVES[kind][kind(before)], (name, history)


def finished(app):
    return {step.NUMBER: app.state.step(step.NUMBER)["finishedAt"] for step in STEPS[:4]}


def test_a_step_that_a_later_run_only_passes_keeps_the_time_at_which_it_was_finished(app):
    app.apply(STEPS[:4])
    before = finished(app)
    app.apply(STEPS[:3])
    assert finished(app) == before
    app.revert(STEPS[:4])
    gone = app.state.step(1)["finishedAt"]
    assert gone > before[1]
    app.apply(STEPS[:1])
    assert app.state.step(1)["finishedAt"] > gone


def test_after_a_full_rollback_no_look_at_the_whole_is_asked_for(app):
    app.apply(STEPS[:4])
    assert [name for name, _ in looks(status_of(app.context()))] == ["whole look", "reconciled"]
    app.revert(STEPS)
    assert not list(looks(status_of(app.context())))


def test_an_incremental_backfill_counts_what_it_takes_back(app):
    app.apply(STEPS[:4])
    app.database["tasks"].update_one({}, {"$set": {"status": "todo", "updatedAt": AT_LAST}})
    assert app.backfill().adjusted == 1


def test_a_sample_that_came_to_everybody_says_so(app):
    app.database["users"].insert_many([user(2), user(3)])
    app.database["tasks"].insert_many([task(number, owner=2 + number % 2) for number in range(20, 30)])
    app.apply(STEPS[:5], verify=VerifyOptions(sample=1))
    assert app.state.get("verdict")["bound"]["words"] == "0 of 3, which is everybody"
