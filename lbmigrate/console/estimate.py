"""What an estimate came to, as tables: amounts with their bounds, the parts of the time, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.checks.finding import Finding
from lbmigrate.console.format import duration
from lbmigrate.console.tables import figure, findings, generic
from lbmigrate.estimate.advice import limit_of, size
from lbmigrate.estimate.estimate import Estimate, Range
from lbmigrate.records import amount

AMOUNTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("time", "seconds", duration),
    ("processor of this side", "client", duration),
    ("processor of the server", "server", duration),
    ("disk", "disk", size),
    ("oplog", "oplog", size),
    ("peak memory", "memory", size),
)
THINGS = (("documents", "documents"), ("scored one by one", "apart"), ("events", "events"), ("users", "users"))


def estimate(found: Estimate, advice: Sequence[Finding]) -> list[RenderableType]:
    """Bounds first, then parts, then what to do."""
    if not found.seconds.likely:
        nothing = Text("nothing to estimate: no documents to read, no entries to write")
        return [nothing, *([findings(advice)] if advice else [])]
    views = [
        generic("Estimate", ("what", "low", "likely", "high"), (_amount(found, *each) for each in AMOUNTS)),
        generic("Parts", ("part", "time", "client", "server", "held up by"), _parts(found), ["server", "client"]),
        Group(*(Text(line, "dim") for line in _made_of(found))),
    ]
    return [*views, findings(advice)]


def _amount(found: Estimate, words: str, name: str, told: Callable[[float], str]) -> tuple[Any, ...]:
    bounds: Range = getattr(found, name)
    return words, *(figure(told(each)) for each in (bounds.low, bounds.likely, bounds.high))


def _parts(found: Estimate) -> list[tuple[Any, ...]]:
    rows = [
        (part.name, figure(duration(part.seconds)), figure(duration(part.client)), figure(duration(part.server)),
         limit_of(part, found.executors))
        for part in found.parts if part.seconds
    ]  # fmt: skip
    held = ("throttle", figure(duration(found.held_back)), figure("–"), figure("–"), "the configuration")
    return [*rows, *([held] if found.held_back else [])]


def _made_of(found: Estimate) -> list[str]:
    work, looked = found.work, found.calibration
    counted = ", ".join(f"{round(getattr(work, name)):,} {words}" for words, name in THINGS)
    kind = "process" if found.executors.processes else "thread"
    return [
        f"for {counted}, {amount(round(work.entries), 'entry')}",
        f"with {amount(found.executors.workers, kind)}, {amount(found.connections, 'connection')} to the server",
        f"from {amount(looked.documents, 'document')} and the events of {amount(looked.users, 'user')}, looked at in "
        f"{looked.seconds:.1f} s; nothing was written",
    ]
