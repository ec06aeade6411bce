from __future__ import annotations

import datetime as dt
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, OperationFailure

from lbmigrate.config.pace import Throttle
from lbmigrate.errors import WorkRemains
from lbmigrate.mongo import fake
from lbmigrate.run import throttle
from lbmigrate.run.indicators import (
    NORMAL,
    Latency,
    Level,
    Operator,
    Reading,
    cached,
    flag_file,
    readable,
    replication_lag,
    server_queue,
)
from lbmigrate.run.stop import Stop
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held
from lbmigrate.state import State
from tests.apps import App, config

TEN = dt.timedelta(seconds=10)
NOON = dt.datetime(2026, 3, 1, 12)
STOP = Reading(Level.STOP, "because")


class Calm(Stop):
    """A stop whose waits take no time, and that says how long they were."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        if not self.asked() and seconds > 0:
            self.waits.append(seconds)


def told(*readings: Reading) -> Any:
    """A signal that says one thing after another, and is normal then."""
    rest = iter(readings)
    return lambda: next(rest, NORMAL)


def gate(*signals: Any, stop: Stop | None = None, **settings: Any) -> Gate:
    return Gate(signals, Throttle(**settings), stop or Calm())


def answering(answer: Any) -> Any:
    """A database whose server gives this answer to every command."""

    def command(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(command=command, client=SimpleNamespace(admin=SimpleNamespace(command=command)))


# --- the gate ----------------------------------------------------------------------------------------------------


@given(stops=st.lists(st.booleans(), max_size=30), items=st.integers(0, 10))
def test_everything_comes_through_once_and_in_order_however_often_it_is_held(stops, items):
    open_gate = gate(told(*(STOP if stop else NORMAL for stop in stops)))
    assert [each for each in open_gate.through(range(items)) if not isinstance(each, Held)] == list(range(items))


HELD = Held("because; the run gives up after 2h")


def test_a_run_that_the_server_holds_for_too_long_gives_up_with_work_left_and_the_reason():
    stop = Calm()
    held = list(gate(lambda: STOP, stop=stop, give_up=dt.timedelta(minutes=1)).through("ab"))
    assert held == [Held("because; the run gives up after 1m")] * len(held)
    assert 60 <= sum(stop.waits) < 60 + 5
    with pytest.raises(WorkRemains, match="held for 1m: because") as raised:
        stop.raise_if_asked("lbmigrate run")
    assert (raised.value.exit_code, raised.value.hint) == (3, "lbmigrate run")


def test_what_people_hold_has_no_end_but_theirs():
    held = Reading(Level.STOP, "paused by ada", by_people=True)
    through = gate(told(*[held] * 50), give_up=dt.timedelta(minutes=1)).through("a")
    assert list(through) == [*[Held("paused by ada")] * 50, "a"]


def test_nothing_comes_through_while_a_signal_says_stop():
    through = gate(told(STOP, STOP, NORMAL, STOP)).through("ab")
    assert list(through) == [HELD, HELD, "a", HELD, "b"]


def test_a_signal_that_cannot_be_read_does_not_stop_and_is_told():
    unknown = Reading(Level.UNKNOWN, "replication lag cannot be read: not allowed")
    open_gate = gate(lambda: unknown)
    assert list(open_gate.through("ab")) == ["a", "b"]
    assert open_gate.unreadable() == [unknown.reason]


def test_the_first_reason_to_stop_is_the_one_that_is_told():
    assert gate(told(), lambda: Reading(Level.STOP, "first"), lambda: STOP).objection() == "first"


def test_a_held_run_waits_a_little_longer_each_time_up_to_five_seconds():
    stop = Calm()
    list(gate(told(*[STOP] * 7), stop=stop).through("a"))
    assert stop.waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_stop_asked_for_while_the_run_is_held_begins_nothing_more():
    stop = Calm()
    through = gate(lambda: STOP, stop=stop).through("ab")
    assert next(through) == HELD
    stop.request(signal.SIGTERM)
    assert list(through) == []


def test_a_stop_asked_for_while_the_run_rests_begins_nothing_more():
    class Pressed(Calm):
        def wait(self, seconds: float) -> None:
            if seconds:
                self.request(signal.SIGTERM)

    open_gate = gate(stop=Pressed(), nice=1.0)
    through = open_gate.through("ab")
    assert next(through) == "a"
    open_gate.note(2.0, 10)
    assert list(through) == []


@pytest.mark.parametrize(
    ("settings", "rests"),
    [
        ({}, []),
        ({"nice": 0.5}, [1.0]),
        ({"nice": 10}, [20.0]),
    ],
)
def test_after_a_chunk_of_a_thousand_documents_in_two_seconds_the_run_rests(settings, rests):
    stop = Calm()
    open_gate = gate(stop=stop, **settings)
    through = open_gate.through("ab")
    next(through)
    open_gate.note(2.0, 1_000)
    assert next(through) == "b"
    assert stop.waits == rests
    assert next(through, None) is None
    assert stop.waits == rests, "a rest is taken once"


# --- signals -----------------------------------------------------------------------------------------------------


def test_a_pause_holds_with_who_and_since_when_until_it_is_taken_back():
    with fake.client() as client:
        state = State(client["app"])
        read = Operator(state)
        assert read() == NORMAL
        state.note("control", paused={"by": "ada@desk", "at": NOON})
        assert read() == Reading(Level.STOP, "paused by ada@desk since 2026-03-01T12:00:00Z", by_people=True)
        state.note("control", paused=None)
        assert read() == NORMAL


def test_a_flag_file_holds_while_it_is_there(tmp_path):
    stop = tmp_path / "stop"
    read = flag_file(stop)
    assert read() == NORMAL
    stop.touch()
    assert read() == Reading(Level.STOP, f"{stop} exists", by_people=True)
    stop.unlink()
    assert read() == NORMAL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_flag_file_in_a_closed_directory_is_unknown(tmp_path):  # pragma: no cover
    tmp_path.chmod(0)
    read = readable("throttle.flag_file", flag_file(tmp_path / "stop"))
    assert read().level is Level.UNKNOWN
    tmp_path.chmod(0o700)


def member(name: str, state: str = "SECONDARY", behind: float = 0, health: float = 1, **more: Any) -> dict[str, Any]:
    times = {} if state == "ARBITER" else {"optimeDate": NOON - dt.timedelta(seconds=behind)}
    return {"name": name, "stateStr": state, "health": health, **times, **more}


def at_once(_: float) -> None:
    """What waits between two looks, where the second would see the same."""


PRIMARY = member("a:1", "PRIMARY")
REFUSED = "Error connecting to b:1 :: caused by :: Connection refused"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([PRIMARY], ""),
        ([PRIMARY, member("b:1", behind=10), member("c:1")], ""),
        ([PRIMARY, member("b:1", behind=11), member("c:1")], "replication lag: b:1 is 11 s behind"),
        ([member("b:1", behind=3), PRIMARY, member("c:1", behind=70)], "replication lag: c:1 is 70 s behind"),
        ([PRIMARY, member("b:1", "ARBITER"), member("c:1")], ""),
        ([PRIMARY, member("b:1", "ARBITER"), member("c:1", behind=12)], "replication lag: c:1 is 12 s behind"),
        ([PRIMARY, member("b:1", "RECOVERING")], "replication lag: b:1 is RECOVERING"),
        ([PRIMARY, member("b:1", "(not reachable/healthy)", health=0)], "replication lag: b:1 is not reachable"),
        ([PRIMARY, member("b:1", "(not reachable/healthy)", health=0, lastHeartbeatMessage=REFUSED)], ""),
    ],
)
def test_a_secondary_that_lags_or_does_not_answer_holds_and_one_that_is_gone_does_not(members, reason):
    read = replication_lag(answering({"members": members}), TEN, at_once)
    assert read() == (Reading(Level.STOP, reason) if reason else NORMAL)


def test_a_server_without_replication_cannot_lag():
    standalone = OperationFailure("not running with --replSet", 76)
    assert replication_lag(answering(standalone), TEN, at_once)() == NORMAL


def queue(waiting: int, tickets: int | None = 128) -> dict[str, Any]:
    engine = {} if tickets is None else {"wiredTiger": {"concurrentTransactions": {"write": {"available": tickets}}}}
    return {"globalLock": {"currentQueue": {"total": waiting}}, **engine}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (queue(100), ""),
        (queue(0, None), ""),
        (queue(101), "101 operations wait in the server's queue"),
        (queue(0, 0), "the server has no write ticket left"),
    ],
)
def test_a_server_with_a_long_queue_or_no_tickets_holds(status, reason):
    read = server_queue(answering(status), 100)
    assert read() == (Reading(Level.STOP, reason) if reason else NORMAL)


@pytest.mark.parametrize(
    "answer", [OperationFailure("not authorized", 13), AutoReconnect("gone"), {}, {"members": [{}]}, {"members": []}]
)
@pytest.mark.parametrize("name", ["lag", "queue"])
def test_a_server_that_gives_no_such_figure_makes_its_signal_unknown(answer, name):
    database = answering(answer)
    signals = {"lag": replication_lag(database, TEN, at_once), "queue": server_queue(database, 100)}
    reading = readable(name, signals[name])()
    assert reading.level is Level.UNKNOWN
    assert reading.reason.startswith(f"{name} cannot be read: ")


def test_what_may_not_be_read_is_not_told_by_every_run():
    lag = readable("replication lag", replication_lag(answering(OperationFailure("not authorized", 13)), TEN, at_once))
    gone = readable("the server's queue", server_queue(answering(AutoReconnect("gone")), 100))
    assert lag().level is Level.UNKNOWN
    assert gate(lag, gone).unreadable() == ["the server's queue cannot be read: gone"]


def test_a_costly_signal_is_read_once_a_second():
    clock = SimpleNamespace(now=5.0)
    read = cached(told(NORMAL, STOP), lambda: clock.now)
    assert read() == NORMAL
    clock.now += 0.9
    assert read() == NORMAL
    clock.now += 0.2
    assert read() == STOP


# --- latency -----------------------------------------------------------------------------------------------------


def noted(latency: Latency, *paces: float) -> None:
    for pace in paces:
        latency.note(pace * 1_000, 1_000)


def test_three_chunks_in_a_row_far_slower_than_usual_hold_once():
    latency = Latency(5.0)
    noted(latency, *[0.001] * 9, 0.006, 0.008, 0.007)
    assert latency() == Reading(Level.STOP, "chunks take 6.0 times as long as they usually do")
    assert latency() == NORMAL


@pytest.mark.parametrize(
    "paces",
    [
        [0.001] * 30,
        [0.001] * 9 + [0.006, 0.006],
        [0.001] * 9 + [0.006, 0.001, 0.006, 0.006],
        [0.001] * 9 + [0.004] * 3,
        [0.001] * 3 + [0.1] * 3,
    ],
    ids=["steady", "two", "one between", "not far enough", "too few to know what is usual"],
)
def test_chunks_that_are_not_clearly_slower_do_not_hold(paces):
    latency = Latency(5.0)
    noted(latency, *paces)
    assert latency() == NORMAL


def test_tiny_chunks_say_nothing_about_latency():
    latency = Latency(5.0)
    for _ in range(30):
        latency.note(60.0, 99)
    noted(latency, *[0.001] * 9)
    assert latency() == NORMAL


def test_slower_is_the_new_usual_after_a_while():
    latency = Latency(5.0)
    noted(latency, *[0.001] * 20)
    held = []
    for _ in range(60):
        noted(latency, 0.006)
        held.append(latency().level is Level.STOP)
    assert any(held)
    assert not any(held[30:])


# --- what the configuration asks for -----------------------------------------------------------------------------


def test_signals_are_those_that_the_configuration_leaves_on(tmp_path):
    stop = tmp_path / "stop"
    with fake.client() as client:
        app = App(client["app"], config())
        throttled = app.config.model_copy(update={"throttle": Throttle(flag_file=str(stop))})
        open_gate = throttle.gate(App(client["app"], throttled).context())
        assert open_gate.objection() == ""
        assert open_gate.unreadable() == [], "an in-memory server has no lag and no queue"
        stop.touch()
        assert open_gate.objection() == f"{stop} exists"
        assert throttle.gate(app.context()).objection() == ""
