"""`--profile DIR`: where the client's processor time goes. A file for each contestant that pstats opens, and a table.

The table has the rooms of the package, and libraries, by own time; what C functions take counts for who calls them.
"""

from __future__ import annotations

import cProfile
import pstats
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import table

ROOT = Path(__file__).parents[1]
LIBRARIES = ("pymongo", "bson", "numpy", "numexpr", "pandas", "psutil", "tenacity")
SHOWN = 12

Where = tuple[str, int, str]  # file, line and name, as pstats has them


@contextmanager
def profiled(path: Path) -> Iterator[None]:
    """For the block, this thread and all that begin in it: their processor time, so that waiting is none."""
    profiles = [cProfile.Profile(time.thread_time)]
    plain = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        profiles.append(cProfile.Profile(time.thread_time))
        with suppress(ValueError):  # from Python 3.12 on one profile has all threads
            profiles[-1].enable()
        plain(thread)

    threading.Thread.run = run  # type: ignore[method-assign]
    profiles[0].enable()
    try:
        yield
    finally:
        profiles[0].disable()
        threading.Thread.run = plain  # type: ignore[method-assign]
        stats = pstats.Stats(profiles[0])
        for each in profiles[1:]:
            with suppress(TypeError):  # a thread in which nothing was called
                stats.add(pstats.Stats(each))
        stats.dump_stats(path)


def rooms(path: Path) -> list[tuple[str, float]]:
    """Own seconds of each room and library, the most first."""
    found: Counter[str] = Counter()
    stats: dict[Where, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    for where, (_, _, own, _, callers) in stats.items():
        if where[0] == "~" and callers:
            for caller, (_, _, share, _) in callers.items():
                found[_room(caller[0])] += share
        else:
            found[_room(where[0])] += own
    return found.most_common()


def shown(path: Path, docs: int) -> str:
    """The rooms as a table, in microseconds a document."""
    found = rooms(path)
    whole = sum(seconds for _, seconds in found) or 1.0
    rows = [(name, f"{took / docs * 1e6:.2f}", f"{took / whole:.0%}") for name, took in found[:SHOWN] if took]
    return table.columns([(path.stem, "own µs", "share"), *rows, ("together", f"{whole / docs * 1e6:.2f}", "100%")])


def _room(file: str) -> str:
    parts = Path(file).parts
    if file.startswith(str(ROOT / "lbmigrate")):
        return "lbmigrate." + Path(file).relative_to(ROOT / "lbmigrate").parts[0].removesuffix(".py")
    return next((name for name in LIBRARIES if name in parts), "Python and others")
