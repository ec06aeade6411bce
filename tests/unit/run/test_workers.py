from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.run.workers import Held, News, in_order, overlapped

LONG = 10.0  # seconds until a test that would hang fails instead


def double(number: int) -> int:
    return 2 * number


@given(items=st.lists(st.integers(), max_size=20), workers=st.integers(1, 4))
def test_every_item_is_worked_on_once(items: list[int], workers: int) -> None:
    assert sorted(overlapped(double, items, lambda: workers)) == sorted(map(double, items))


def test_items_are_worked_on_at_the_same_time() -> None:
    barrier = threading.Barrier(2)
    assert sorted(overlapped(lambda _: barrier.wait(LONG), range(4), lambda: 2)) == [0, 0, 1, 1]


def test_no_more_items_are_worked_on_at_once_than_there_are_workers() -> None:
    barrier = threading.Barrier(3)

    def work(_: int) -> bool:
        with suppress(threading.BrokenBarrierError):
            barrier.wait(0.2)
        return barrier.broken

    assert all(overlapped(work, range(4), lambda: 2))


def test_endless_items_are_taken_only_a_little_ahead() -> None:
    taken: list[int] = []
    free = threading.Event()

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    results = overlapped(lambda number: number == 0 or free.wait(LONG), items(), lambda: 3)
    next(results)
    assert len(taken) == 3 + 1
    free.set()
    results.close()


def test_a_result_is_handed_on_when_it_is_there_and_not_in_the_order_of_the_items() -> None:
    quick_was_handed_on = threading.Event()

    def work(item: str) -> str:
        assert item == "quick" or quick_was_handed_on.wait(LONG)
        return item

    results = overlapped(work, ["slow", "quick"], lambda: 2)
    assert next(results) == "quick"
    quick_was_handed_on.set()
    assert list(results) == ["slow"]


def test_when_the_items_end_early_what_was_begun_is_still_handed_on() -> None:
    stopping, begun = threading.Event(), []

    def items() -> Iterator[int]:
        for number in count():
            if stopping.is_set():
                return
            begun.append(number)
            yield number

    def work(number: int) -> int:
        if number == 5:
            stopping.set()
        return number

    assert sorted(overlapped(work, items(), lambda: 2)) == begun


def test_an_error_is_raised_after_everything_that_was_begun_has_ended() -> None:
    begun, raised, ended = threading.Event(), threading.Event(), []

    def work(item: str) -> None:
        if item == "bad":
            assert begun.wait(LONG)
            raise ZeroDivisionError
        begun.set()
        ended.append(raised.wait(0.2))

    with pytest.raises(ZeroDivisionError):
        list(overlapped(work, ["good", "bad"], lambda: 2))
    raised.set()
    assert ended == [False]


def test_a_consumer_that_leaves_waits_for_what_was_begun() -> None:
    ended: list[int] = []
    results = overlapped(ended.append, range(3), lambda: 3)
    next(results)
    results.close()
    assert sorted(ended) == [0, 1, 2]


def test_a_hold_is_told_once_when_what_is_under_way_has_ended_and_before_anything_else_begins() -> None:
    handed: list[object] = []

    def work(item: int) -> tuple[int, int]:
        return item, len(handed)

    for result in overlapped(work, [1, 2, Held("a pause"), 3], lambda: 4):
        handed.append(result)
    *ended, hold, last = handed
    assert {item for item, _ in ended} == {1, 2}
    assert hold == Held("a pause")
    assert last == (3, 3)


def test_fewer_workers_end_what_they_have_begun_and_more_begin_at_once() -> None:
    number, most, at_work, turn = [1], [0], [0], threading.Lock()

    def work(item: int) -> int:
        with turn:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.01)
        with turn:
            at_work[0] -= 1
        return item

    def items() -> Iterator[int]:
        for item in range(40):
            number[0] = 1 if item < 10 else 4 if item < 30 else 1
            if item == 10:
                assert most[0] == 1
            yield item

    assert sorted(overlapped(work, items(), lambda: number[0])) == list(range(40))
    assert 1 < most[0] <= 4


@given(items=st.lists(st.integers(), max_size=20), workers=st.lists(st.integers(1, 4), min_size=1, max_size=30))
def test_results_come_in_the_order_of_the_items_however_many_work(items: list[int], workers: list[int]) -> None:
    now = cycle(workers)
    assert list(in_order(double, items, lambda: next(now))) == list(map(double, items))


def test_with_one_worker_an_item_is_taken_when_the_result_before_it_was_used() -> None:
    told: list[str] = []

    def items() -> Iterator[int]:
        for number in range(3):
            told.append(f"taken {number}")
            yield number

    for found in in_order(double, items(), lambda: 1):
        told.append(f"used {found}")
    assert told == ["taken 0", "used 0", "taken 1", "used 2", "taken 2", "used 4"]


def test_in_order_two_items_for_each_worker_are_taken_ahead_and_no_more() -> None:
    taken: list[int] = []
    free = threading.Event()

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    results = in_order(lambda number: number == 0 or free.wait(LONG), items(), lambda: 3)
    next(results)
    assert len(taken) == 2 * 3 + 1
    free.set()
    results.close()


def test_a_hold_comes_behind_all_that_was_begun_before_it() -> None:
    held = Held("paused")
    assert list(in_order(double, [1, 2, held, 3], lambda: 2)) == [2, 4, held, 6]


@pytest.mark.parametrize("way", [overlapped, in_order])
def test_news_are_told_while_a_result_is_waited_for(way) -> None:
    was_told = threading.Event()
    told = iter([[], ["nobody is here"]])

    def news() -> list[str]:
        return next(told, [])

    results = way(lambda _: was_told.wait(LONG), [1], lambda: 1, news)
    assert next(results) == News("nobody is here")
    was_told.set()
    assert list(results) == [True]
