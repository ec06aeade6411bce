"""Work in threads, a bounded number at a time, results as they finish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Condition
from typing import Any, Final, Protocol, TypeVar

from lbmigrate.records import Piece
from lbmigrate.run.stop import LONGEST_NAP

T = TypeVar("T")
R = TypeVar("R")
MOST_WORKERS = 64


class Aside(Protocol):
    """What comes between results, and is to be told with how far the work is."""

    def on(self, piece: Piece) -> Piece:
        """The piece that tells of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing is begun for now, for this reason; of what `kind` it is in one word, and what `ends` it."""

    reason: str
    kind: str = field(default="", compare=False)
    ends: str = field(default="", compare=False)

    def on(self, piece: Piece) -> Piece:
        """The piece that tells of it."""
        return replace(piece, held=self.reason, hold_kind=self.kind, ends=self.ends)


@dataclass(frozen=True, slots=True)
class News:
    """What has happened to those who work for a run, in a sentence."""

    sentence: str

    def on(self, piece: Piece) -> Piece:
        """The piece that tells of it."""
        return replace(piece, warning=self.sentence)


_END: Final = object()


class _Slots:
    """Places for those who work at the same time. Their number may change: who is at work ends what is begun."""

    def __init__(self, number: Callable[[], int]) -> None:
        self._number, self._taken, self._free = number, 0, Condition()

    def work(self, work: Callable[[T], R], item: T) -> R:
        with self._free:
            while self._taken >= self._number():
                self._free.wait(LONGEST_NAP)
            self._taken += 1
        try:
            return work(item)
        finally:
            with self._free:
                self._taken -= 1
                self._free.notify()


def nothing_new() -> Sequence[str]:
    """The news where nobody else works."""
    return ()


def overlapped(
    work: Callable[[T], R],
    items: Iterable[T | Held],
    workers: Callable[[], int],
    news: Callable[[], Sequence[str]] = nothing_new,
) -> Iterator[R | Held | News]:
    """`work(item)` for every item, in `workers()` threads; results in the order in which they finish.

    At most one item more than there are threads is taken ahead, so `items` may be endless and memory is bounded. When
    `items` ends early (a stop was asked for), what was begun is still finished and handed on. A Held among the items is
    handed through when everything under way has been handed on: until then the run is at work, and a hold that is told
    is one. An error in `work` is raised here, after the items already begun have ended. The `news` are handed on while
    results are waited for, which may be long where nobody is there who could work.
    """
    ahead: Iterator[Any] = iter(items)
    slots = _Slots(workers)
    with ThreadPoolExecutor(MOST_WORKERS + 1) as pool:
        running: list[Future[R]] = []
        ended = False
        while running or not ended:
            if ended or len(running) > workers():
                running = yield from _handed_on(running, news)
                continue
            item: Any = next(ahead, _END)
            if item is _END:
                ended = True
            elif isinstance(item, Held):
                while running:
                    running = yield from _handed_on(running, news)
                yield item
            else:
                running.append(pool.submit(slots.work, work, item))


def in_order(
    work: Callable[[T], R],
    items: Iterable[T | Held],
    workers: Callable[[], int],
    news: Callable[[], Sequence[str]] = nothing_new,
) -> Iterator[R | Held | News]:
    """The same with results in the order of the items.

    With one worker an item is taken when the result of the one before it has been used. With more of them so many are
    taken ahead that none waits for the slowest one: two for each, whose results are held.
    """
    slots = _Slots(workers)
    with ThreadPoolExecutor(MOST_WORKERS + 1) as pool:
        running: deque[Future[R]] = deque()
        for item in items:
            most = 0 if isinstance(item, Held) else 1 if workers() == 1 else 2 * workers()
            while running and len(running) >= most:
                yield from _handed_on([running.popleft()], news)
            if isinstance(item, Held):
                yield item
                continue
            running.append(pool.submit(slots.work, work, item))
            if most == 1:
                yield from _handed_on([running.popleft()], news)
        while running:
            yield from _handed_on([running.popleft()], news)


def _handed_on(
    running: Sequence[Future[R]], news: Callable[[], Sequence[str]]
) -> Generator[R | News, None, list[Future[R]]]:
    """The results of those that end first, as soon as one has; the others are left.

    It wakes up now and then: a signal that another thread receives is heard only when this one, the main one, moves.
    """
    while True:
        done, _ = wait(running, timeout=LONGEST_NAP, return_when=FIRST_COMPLETED)
        if done:
            break
        yield from map(News, news())
    yield from (future.result() for future in running if future in done)  # of those that end together, in order
    return [future for future in running if future not in done]
