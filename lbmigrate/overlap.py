"""Work in threads, a bounded number at a time, results as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlapped(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`work(item)` for every item, in `workers` threads; results in the order in which they finish.

    At most one item more than there are threads is taken ahead, so `items` may be endless and memory is bounded. When
    `items` ends early (a stop was asked for), what was begun is still finished and handed on. An error in `work` is
    raised here, after the items already begun have ended.
    """
    ahead = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[R]] = {pool.submit(work, item) for item in islice(ahead, workers + 1)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
                running |= {pool.submit(work, item) for item in islice(ahead, 1)}
