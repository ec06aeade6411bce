"""Work in threads, a bounded number at a time, results as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lbmigrate.run.stop import LONGEST_NAP

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing is begun for now, for this reason."""

    reason: str


_END: Final = object()


def overlapped(work: Callable[[T], R], items: Iterable[T | Held], workers: int) -> Iterator[R | Held]:
    """`work(item)` for every item, in `workers` threads; results in the order in which they finish.

    At most one item more than there are threads is taken ahead, so `items` may be endless and memory is bounded. When
    `items` ends early (a stop was asked for), what was begun is still finished and handed on. A Held among the items is
    handed through at once, and nothing is begun before everything under way has been handed on. An error in `work` is
    raised here, after the items already begun have ended.
    """
    ahead: Iterator[Any] = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        running: list[Future[R]] = []
        ended = False
        while running or not ended:
            if ended or len(running) > workers:
                done = _some_done(running)
                finished = [future for future in running if future in done]  # of those that finish together, in order
                running = [future for future in running if future not in done]
                yield from (future.result() for future in finished)
                continue
            item: Any = next(ahead, _END)
            if item is _END:
                ended = True
            elif isinstance(item, Held):
                yield item
                while running:
                    done = _some_done(running)
                    yield from (future.result() for future in running if future in done)
                    running = [future for future in running if future not in done]
            else:
                running.append(pool.submit(work, item))


def _some_done(running: Sequence[Future[R]]) -> set[Future[R]]:
    """Those that have ended, as soon as one has.

    It wakes up now and then: a signal that another thread receives is heard only when this one, the main one, moves.
    """
    while True:
        done, _ = wait(running, timeout=LONGEST_NAP, return_when=FIRST_COMPLETED)
        if done:
            return done
