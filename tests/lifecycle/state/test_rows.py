from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import psutil
import pytest
from pymongo.database import Database

from lbmigrate.errors import LeaseLost, Locked, Refused
from lbmigrate.ledger import emit, rollup
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.migration.steps import s4_backfill
from lbmigrate.mongo.concerns import durable
from lbmigrate.records import Checkpoint, Document, Mark, RolledUp, RowsRemoved, Together
from lbmigrate.state import Holder, Lease, State
from lbmigrate.state.held import HeldRows
from lbmigrate.state.lease import LOCK, break_open
from tests.apps import App, oid, pieces, task

TTL = 60.0
NOON = dt.datetime(2025, 11, 4, 12)
ELSEWHERE = Holder("elsewhere", 4711, 1.0, "lbmigrate run")
HOLDER_AT_WORK = """
import json, sys
from dataclasses import asdict
from lbmigrate.state import Holder
print(json.dumps(asdict(Holder.here())), flush=True)
sys.stdin.read()
"""


class Clock:
    """The server's clock and this process's, which only the test moves."""

    def __init__(self) -> None:
        self.server, self.process = NOON, 1000.0

    def server_time(self) -> dt.datetime:
        return self.server

    def monotonic(self) -> float:
        return self.process

    def advance(self, seconds: float) -> None:
        self.server += dt.timedelta(seconds=seconds)
        self.process += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runner(database: Database[Any], clock: Clock) -> Callable[..., tuple[State, Lease]]:
    """Makes runners of the one migration: each has a state of its own, and a lease that it may take."""

    def make(holder: Holder = ELSEWHERE, **options: Any) -> tuple[State, Lease]:
        state = State(durable(database))
        given = {"server_time": clock.server_time, "monotonic": clock.monotonic, "ttl": TTL, **options}
        return state, Lease(state, holder, **given)

    return make


@pytest.fixture
def overtaken(runner: Any, clock: Clock) -> tuple[State, State]:
    """The states of a runner that slept past the end of its lease and of the one that then took over."""
    old, lease = runner()
    lease.take()
    old.put(Checkpoint("step:1", {"status": "applied"}))
    old.put(chunk(0, closedAt=NOON, status="emitted", users=[1]))
    clock.advance(TTL)
    new, successor = runner()
    successor.take()
    return old, new


def chunk(number: int, **fields: Any) -> Checkpoint:
    return Checkpoint(f"chunk:tasks:1:0:{number}", {"source": "tasks", "pass": 1, "number": number, **fields})


def rows(state: State) -> list[Document]:
    return list(state.rows.find().sort("_id", 1))


@contextmanager
def process_at_work() -> Iterator[tuple[subprocess.Popen[str], Holder]]:
    """Another process of this host, and how it signs a lease."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLDER_AT_WORK]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Holder(**json.loads(process.stdout.readline()))
        finally:
            process.kill()


# one at a time


def test_a_second_runner_is_told_who_holds_the_lock_and_changes_nothing(runner: Any) -> None:
    state, lease = runner()
    lease.take()
    before = rows(state)
    with pytest.raises(Locked, match=r"pid 4711 on elsewhere, until 2025-11-04T12:01:00Z") as raised:
        runner(replace(ELSEWHERE, pid=1))[1].take()
    assert "lbmigrate unlock" in raised.value.hint
    assert rows(state) == before


def test_a_lease_ends_when_the_servers_clock_says_so(runner: Any, clock: Clock) -> None:
    runner()[1].take()
    clock.process += 10 * TTL
    clock.server += dt.timedelta(seconds=TTL, milliseconds=-1)
    with pytest.raises(Locked):
        runner()[1].take()
    clock.server += dt.timedelta(milliseconds=1)
    runner()[1].take()


def test_a_lease_given_back_is_free_at_once(runner: Any) -> None:
    _, lease = runner()
    lease.take()
    lease.release()
    with pytest.raises(LeaseLost):
        lease.check()
    runner()[1].take()


def test_the_same_runner_may_take_its_lease_again(runner: Any) -> None:
    state, lease = runner()
    for fence in (1, 2):
        lease.take()
        assert state.fence == fence
        lease.check()
        lease.release()


def test_who_lost_a_lease_cannot_give_away_the_successors(overtaken: tuple[State, State], runner: Any) -> None:
    old, new = overtaken
    before = rows(new)
    Lease(old, ELSEWHERE, lambda: NOON, TTL).release()
    assert rows(new) == before


def test_a_lock_that_was_broken_open_is_free_and_its_holder_has_lost_it(runner: Any) -> None:
    state, lease = runner()
    lease.take()
    break_open(State(state.rows.database))
    with pytest.raises(LeaseLost):
        lease.renew()
    with pytest.raises(LeaseLost):
        state.put(Checkpoint("step:1", {"status": "applied"}))
    runner()[1].take()


def test_breaking_a_lock_that_nobody_ever_held_writes_nothing(database: Database[Any]) -> None:
    break_open(State(database))
    assert rows(State(database)) == []


def test_of_many_who_reach_for_a_free_lease_exactly_one_gets_it(database: Database[Any], clock: Clock) -> None:
    for _ in range(20):
        assert winners(database, clock) == 1  # there is no lock yet
        clock.advance(TTL)
        assert winners(database, clock) == 1  # there is one that ended
        State(database).rows.delete_many({})


def winners(home: Database[Any], clock: Clock) -> int:
    """How many of four threads that begin together get the lease of `home`."""
    barrier, won = threading.Barrier(4), []

    def reach() -> None:
        state = State(home)
        lease = Lease(state, ELSEWHERE, clock.server_time, TTL, monotonic=clock.monotonic)
        barrier.wait()
        try:
            lease.take()
        except Locked:
            return
        won.append(state.fence)

    threads = [threading.Thread(target=reach) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won)


# waiting


def test_a_patient_runner_gets_the_lease_when_it_ends(runner: Any, clock: Clock) -> None:
    runner()[1].take()

    def later() -> dt.datetime:
        clock.advance(TTL / 4)
        return clock.server

    state, lease = runner(server_time=later, patience=0.01, monotonic=lambda: 0.0)
    lease.take()
    assert state.fence == 2


def test_patience_ends(runner: Any, clock: Clock) -> None:
    runner()[1].take()
    ticks = iter(range(100))
    with pytest.raises(Locked):
        runner(patience=0.01, monotonic=lambda: 0.004 * next(ticks))[1].take()


# holders that are gone


def test_the_lease_of_a_process_that_was_killed_here_is_taken_over_at_once(runner: Any) -> None:
    with process_at_work() as (process, holder):
        runner(holder)[1].take()
        with pytest.raises(Locked, match=f"pid {process.pid}"):
            runner()[1].take()
        process.kill()
        process.wait()
        state, lease = runner()
        lease.take()
        assert state.fence == 2


def test_a_process_that_only_waits_for_its_parent_is_dead() -> None:
    with process_at_work() as (process, holder):
        assert not holder.is_dead()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder.is_dead()


def test_of_many_who_find_a_dead_holder_exactly_one_takes_over(runner: Any, clock: Clock) -> None:
    with process_at_work() as (process, holder):
        state, lease = runner(holder)
        process.kill()
        process.wait()
    lease.take()
    assert winners(state.rows.database, clock) == 1


def test_a_holder_counts_as_dead_only_where_that_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Holder.here()
    gone = replace(here, born=here.born - 100)  # another process had the number before
    assert gone.is_dead()
    assert not here.is_dead()
    assert not replace(gone, table="a container that shares the name of its host").is_dead()
    assert not replace(gone, table="").is_dead()
    monkeypatch.setattr("lbmigrate.state.holder._table", lambda: "")
    assert not replace(gone, table="").is_dead()


def test_setting_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    here, booted = Holder.here(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600)
    assert psutil.boot_time() == booted + 3600
    assert not here.is_dead()


# keeping it


def test_a_lease_is_lost_when_this_process_slept_past_its_end(runner: Any, clock: Clock) -> None:
    _, lease = runner()
    with pytest.raises(LeaseLost):
        lease.check()
    lease.take()
    clock.process += TTL - 0.001
    lease.check()
    clock.process += 0.001
    with pytest.raises(LeaseLost) as raised:
        lease.check()
    assert (raised.value.exit_code, raised.value.hint) == (4, "lbmigrate status")


def test_a_renewed_lease_lasts_as_long_again(runner: Any, clock: Clock) -> None:
    _, lease = runner()
    lease.take()
    clock.advance(TTL / 2)
    lease.renew()
    clock.advance(TTL - 0.001)
    lease.check()
    with pytest.raises(Locked):
        runner()[1].take()
    clock.advance(0.001)
    with pytest.raises(LeaseLost):
        lease.renew()
    runner()[1].take()


def test_a_lease_that_changed_hands_is_not_renewed(runner: Any, clock: Clock) -> None:
    state, lease = runner()
    lease.take()
    clock.server += dt.timedelta(seconds=TTL)
    runner(replace(ELSEWHERE, pid=1))[1].take()
    before = rows(state)
    with pytest.raises(LeaseLost):
        lease.renew()
    assert rows(state) == before
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_kept_lease_is_renewed_in_the_background_until_it_is_given_back(runner: Any) -> None:
    asked = threading.Semaphore(0)

    def server_time() -> dt.datetime:
        asked.release()
        return NOON

    _, lease = runner(server_time=server_time, ttl=0.03)
    for _ in range(2):
        lease.take()
        lease.keep()
        for _ in range(6):
            assert asked.acquire(timeout=10)
        lease.release()
        assert "lease" not in {thread.name for thread in threading.enumerate()}


# fences


def test_the_fence_rises_whenever_the_lease_changes_hands(runner: Any, clock: Clock) -> None:
    fences = []
    ends = (Lease.release, lambda _: clock.advance(TTL), lambda _: break_open(State(state.rows.database)))
    for end in ends:
        state, lease = runner()
        lease.take()
        fences.append(state.fence)
        lease.renew()
        end(lease)
    state, lease = runner()
    lease.take()
    assert [*fences, state.fence] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    "mark",
    [
        Checkpoint("step:1", {"status": "reverted"}),
        chunk(0, status="claimed"),
        chunk(1, status="claimed"),
        Checkpoint("watermark:tasks", {"until": NOON}),
        RolledUp(NOON),
        RowsRemoved(("chunk", "step")),
    ],
    ids=repr,
)
def test_who_was_overtaken_changes_nothing_any_more(overtaken: tuple[State, State], mark: Mark) -> None:
    old, new = overtaken
    new.put(chunk(1, status="failed"))
    before = rows(new)
    with pytest.raises(LeaseLost, match="another run took over"):
        old.save(mark)
    assert rows(new) == before
    new.save(mark)
    assert rows(new) != before


def test_who_was_overtaken_adds_nothing_to_the_ledger_and_the_board_any_more(overtaken: tuple[State, State]) -> None:
    old, new = overtaken
    app = App(old.rows.database)
    app.database["tasks"].insert_one(task(1))
    work = partial(emit.emit, source=app.config.sources[0], condition={}, seen=Seen.NEVER)
    for state in (old, new):
        context = replace(app.context(), state=state)
        with pytest.raises(LeaseLost) if state is old else nullcontext():
            work(context, one_type=OneUserType(context))
        assert len(app.events()) == (state is new)
    for state in (old, new):
        with pytest.raises(LeaseLost) if state is old else nullcontext():
            rollup.roll_up(replace(app.context(), state=state), {"$in": [oid(1)]})
        assert len(app.entries()) == 2 * (state is new)


def test_a_rollback_that_was_overtaken_removes_nothing_any_more(overtaken: tuple[State, State]) -> None:
    old, new = overtaken
    new.save(RowsRemoved(("chunk",)))
    app = App(old.rows.database)
    app.database["tasks"].insert_many([task(number) for number in range(3)])
    slow = s4_backfill.revert(replace(app.context(), state=old))
    assert next(slow).subject == "events"  # what is to be forgotten first; it sleeps before that
    list(pieces(s4_backfill, replace(app.context(), state=new)))
    before = app.events(), app.entries()
    with pytest.raises(LeaseLost):
        list(slow)
    assert (app.events(), app.entries()) == before
    assert len(app.events()) == 3


def test_the_rows_of_an_earlier_holder_are_out_of_its_reach_before_it_looks_at_the_lock(
    overtaken: tuple[State, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = overtaken
    new.put(chunk(1, status="failed"))
    before = rows(new)
    old.rows = BlindToTheLock(old.rows)  # the successor came between the look and the write
    for mark in (Checkpoint("step:1", {"status": "reverted"}), chunk(0, status="claimed"), chunk(1, status="claimed")):
        with pytest.raises(LeaseLost):
            old.save(mark)
    old.save(RolledUp(NOON), RowsRemoved(("chunk", "step")))
    assert rows(new) == before


class BlindToTheLock:
    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def find_one(self, asked: Document, *_: Any) -> None:
        assert asked["_id"] == LOCK


def test_a_run_sees_what_it_has_written_itself(runner: Any) -> None:
    state, lease = runner()
    lease.take()
    assert state.watermark("tasks") == {}
    state.put(Checkpoint("watermark:tasks", {"value": NOON}))
    assert state.watermark("tasks")["value"] == NOON
    state.save(Together((Checkpoint("watermark:tasks", {"value": None}), Checkpoint("step:1", {"status": "applying"}))))
    assert (state.watermark("tasks")["value"], state.step(1)["status"]) == (None, "applying")
    state.save(Together((Checkpoint("step:1", {"status": "applied"}), RowsRemoved(("watermark",)))))
    assert (state.watermark("tasks"), state.step(1)["status"]) == ({}, "applied")


def test_who_changes_a_row_that_was_handed_out_changes_nothing_for_others(runner: Any) -> None:
    state, lease = runner()
    lease.take()
    state.put(Checkpoint("watermark::rules", {"rules": {"timezone": "a"}, "digest": "b"}))
    state.get("watermark::rules")["rules"]["timezone"] = "c"
    assert state.get("watermark::rules")["rules"] == {"timezone": "a"}


def test_a_run_that_has_ended_sees_what_the_next_one_writes(runner: Any) -> None:
    (state, lease), (later, following) = runner(), runner()
    lease.take()
    state.put(Checkpoint("watermark:tasks", {"value": NOON}))
    assert state.watermark("tasks")["value"] == NOON
    lease.release()
    following.take()
    later.put(Checkpoint("watermark:tasks", {"value": None}))
    assert state.watermark("tasks")["value"] is None
    following.release()
    lease.take()
    assert state.watermark("tasks")["value"] is None


@pytest.mark.parametrize("alone", [False, True], ids=["all", "alone"])
def test_a_row_that_was_read_while_it_was_written_is_not_held(alone: bool) -> None:
    held, written = HeldRows(), threading.Event()
    held.begin()

    def read() -> Document:
        writer.start()
        assert not written.wait(0.05)  # the writer says so when the reader is done
        return {"value": "old"}

    def write() -> None:
        held.written(["step:4"])
        written.set()

    def read_all() -> dict[str, Document]:
        return {"step:3": {}, "step:4": {"value": "oldest"} if alone else read()}

    writer = threading.Thread(target=write)
    if alone:
        assert held.get("step:4", read, read_all) == {"value": "oldest"}
        held.written(["step:4"])
    assert held.get("step:4", read, read_all) == {"value": "old"}
    writer.join()
    assert held.get("step:4", lambda: {"value": "new"}, read_all) == {"value": "new"}


def test_a_run_sees_rows_that_others_wrote_before_it_and_those_that_it_makes(runner: Any) -> None:
    (before, earlier), (state, lease) = runner(), runner()
    earlier.take()
    before.put(Checkpoint("watermark:tasks", {"value": NOON}), Checkpoint("step:4", {"status": "applying"}))
    earlier.release()
    lease.take()
    assert (state.watermark("tasks")["value"], state.watermark("sessions"), state.step(5)) == (NOON, {}, {})
    state.put(Checkpoint("watermark:sessions", {"value": NOON}))
    assert (state.watermark("sessions")["value"], state.step(4)["status"]) == (NOON, "applying")


def test_steering_from_outside_needs_no_lease_and_takes_none(overtaken: tuple[State, State]) -> None:
    _, new = overtaken
    outside = State(new.rows.database)
    paused = {"by": "ann", "at": NOON}
    outside.note("control", paused=paused)
    outside.note("control", other=1)
    control = new.get("control")
    assert (control["paused"], control["other"], control["kind"]) == (paused, 1, "control")
    new.put(Checkpoint("step:2", {"status": "applied"}))


# rows


def test_a_row_says_its_kind_its_layout_and_who_wrote_it(runner: Any) -> None:
    state, lease = runner()
    lease.take()
    judged = {"passed": True, "covers": None, "at": NOON, "users": 1, "entries": 2, "mismatches": 0}
    state.save(Checkpoint("step:4", {"status": "applying", "number": 4}), Checkpoint("verdict", judged))
    state.save(Checkpoint("step:4", {"status": "applied"}))
    written = {"layout": 1, "fence": 1}
    assert state.step(4) == {"_id": "step:4", "kind": "step", "number": 4, "status": "applied", **written}
    assert state.get("verdict") == {"_id": "verdict", "kind": "verdict", **judged, **written}
    assert state.get("verdict:2") == {}


def test_rows_of_a_newer_layout_are_refused_and_those_of_this_one_are_not(database: Database[Any]) -> None:
    state = State(database)
    state.check_layout()
    state.put(Checkpoint("step:1", {"status": "applied"}))
    state.check_layout()
    state.rows.insert_one({"_id": "step:2", "kind": "step", "layout": 2})
    with pytest.raises(Refused, match=r"written by a newer lbmigrate \(layout 2, this one knows 1\)"):
        state.check_layout()


def test_rolled_up_chunks_forget_their_users_and_later_ones_wait(database: Database[Any]) -> None:
    state = State(database)
    for number in range(3):
        closed = NOON + dt.timedelta(minutes=number)
        state.put(chunk(number, status="emitted", closedAt=closed, users=[number], counts={"read": 5, "emitted": 1}))
    state.put(chunk(3, status="claimed", counts={"read": 7, "emitted": 7}))
    state.save(RolledUp(NOON + dt.timedelta(minutes=1)))
    assert [row["status"] for row in state.chunks(source="tasks")] == ["rolled", "rolled", "emitted", "claimed"]
    assert list(state.touched_users()) == [[2]]
    assert state.last_closed() == NOON + dt.timedelta(minutes=2)
    assert state.read_in_pass("tasks", 1) == 15
    assert (state.last_emission() or "").startswith("chunk:tasks:1:0:2@2025-11-04T12:02:00")


def test_what_is_forgotten_goes_and_the_other_kinds_stay(database: Database[Any]) -> None:
    state = State(database)
    state.put(chunk(0), Checkpoint("watermark:tasks", {}), Checkpoint("step:4", {}))
    state.save(RowsRemoved(("chunk", "watermark")))
    assert [row["_id"] for row in rows(state)] == ["step:4"]


def test_the_newest_runs_come_first(database: Database[Any]) -> None:
    state = State(database)
    for number in range(3):
        state.put(Checkpoint(f"run:{number}", {"startedAt": NOON + dt.timedelta(minutes=number)}))
    assert [row["_id"] for row in state.runs(2)] == ["run:2", "run:1"]


def test_a_state_that_nobody_wrote_is_empty(database: Database[Any]) -> None:
    state = State(database)
    state.put()
    state.save()
    empty = (state.last_closed(), state.last_emission(), list(state.touched_users()), state.last_chunk("tasks", 1, 0))
    assert empty == (None, None, [], {})
    assert (state.watermark("tasks"), state.runs(), rows(state)) == ({}, [], [])


def test_a_holder_is_kept_whole(runner: Any) -> None:
    state, lease = runner(Holder.here("lbmigrate run"))
    lease.take()
    assert Holder(**state.get(LOCK)["holder"]) == Holder.here("lbmigrate run")
    assert asdict(Holder.here())["pid"] == os.getpid()
