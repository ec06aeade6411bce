"""So many documents a second: evenly, by all threads together, and changed while a run goes on."""

from __future__ import annotations

import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.run.pace import AT_ONCE, Pace
from lbmigrate.run.stop import LONGEST_NAP, Stop


class Clock(Stop):
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(monotonic=lambda: self.now, sleep=self._sleep_on)

    def _sleep_on(self, seconds: float) -> None:
        self.now += max(seconds, 1e-9)


def paced(per_second: float | None) -> tuple[Pace, Clock]:
    clock = Clock()
    pace = Pace(1, lambda: clock.now)
    pace.set(1, per_second)
    return pace, clock


@given(per_second=st.floats(0.5, 100_000), documents=st.integers(1, 5_000))
def test_in_no_stretch_of_time_more_is_read_than_is_due_and_little_less(per_second: float, documents: int) -> None:
    pace, clock = paced(per_second)
    most, left, done, read = pace.batch(10_000), documents, [], 0
    while left:
        size = min(left, most)
        pace.take(size, clock)
        done.append((clock.now, read))
        read, left = read + size, left - size
    for at, before in done:
        assert at == pytest.approx(before / per_second, abs=1e-3), "each batch begins when it is due"
    assert most <= max(1, per_second * AT_ONCE)


def test_without_a_limit_nobody_waits_and_batches_are_as_large_as_they_may_be() -> None:
    pace, clock = paced(None)
    for _ in range(100):
        pace.take(10_000, clock)
    assert (clock.now, pace.batch(10_000), pace.chunk(10_000)) == (0.0, 10_000, 10_000)


def test_a_limit_that_nobody_reaches_cuts_nothing() -> None:
    assert paced(float("inf"))[0].batch(10_000) == 10_000
    assert paced(1e9)[0].chunk(500) == 500


def test_another_pace_ends_the_wait_for_the_old_one() -> None:
    pace, clock = paced(0.01)
    pace.take(1, clock)
    clock._sleep = lambda seconds: (clock._sleep_on(seconds), pace.set(1, 1_000) if clock.now > 1 else None)
    pace.take(1, clock)
    assert clock.now < 1 + 2 * LONGEST_NAP
    pace.take(1, clock)
    assert clock.now < 1 + 3 * LONGEST_NAP


def test_a_stop_ends_the_wait() -> None:
    pace, clock = paced(0.01)
    pace.take(1, clock)
    clock.request(signal.SIGTERM)
    pace.take(1, clock)
    assert clock.now == 0


def test_what_was_waited_is_no_time_of_work() -> None:
    pace, clock = paced(10)
    began = pace.clock()
    pace.take(5, clock)
    pace.take(5, clock)
    clock.now += 3.0
    assert clock.now == pytest.approx(3.5)
    assert pace.clock() - began == pytest.approx(3.0)


def test_all_threads_together_keep_to_it() -> None:
    pace, clock = paced(1_000)
    turn = threading.Lock()

    def read() -> None:
        for _ in range(20):
            with turn:  # the clock of the test is for one at a time
                pace.take(50, clock)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert clock.now == pytest.approx((60 * 50 - 50) / 1_000, abs=0.01)


def test_a_thread_is_idle_while_fewer_work_than_there_are_and_only_then() -> None:
    pace = Pace(3)
    assert pace.idle() == 0  # nobody is counted
    with pace.at_work():
        assert pace.idle() == 2
        with pace.at_work(), pace.at_work():
            assert pace.idle() == 0
            pace.set(1, None)
            assert pace.idle() == 0
        with pytest.raises(ZeroDivisionError), pace.at_work():
            raise ZeroDivisionError
        assert pace.idle() == 0
        pace.set(2, None)
        assert pace.idle() == 1
    assert pace.idle() == 0
