"""How old the last look at the whole is, in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from lbmigrate.console.format import cell
from lbmigrate.state.statuses import StepStatus
from lbmigrate.telling.age import ago
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.migration.status import Status

BACKFILL, NOTHING_THERE = 4, (StepStatus.NEW, StepStatus.REVERTED)  # then no look has anything to compare
NEVER = dt.datetime.min
WEEKLY = dt.timedelta(days=8)  # what a job of every week never exceeds
KINDS = {  # what is said of it: the looks that count for it, and the command that looks
    "whole look": (("backfill", "recount"), "lbmigrate recount"),
    "reconciled": (("reconcile",), ""),
}


def looks(found: Status) -> Iterable[tuple[str, Text | str]]:
    """A line for each kind of look, of the source for which it is the longest time ago.

    None before a backfill; and that there was none is not said while a first one is under way, which is a look itself.
    """
    stands = next((step.status for step in found.steps if step.number == BACKFILL), StepStatus.NEW)
    if stands in NOTHING_THERE:
        return
    for name, (kinds, command) in KINDS.items():
        oldest = min(((_newest(source.looks, kinds), source.name) for source in found.sources), default=None)
        if oldest is not None and (oldest[0] > NEVER or stands != StepStatus.APPLYING):
            yield name, _told(*oldest, found.now, command)


def _newest(given: dict[str, dt.datetime], kinds: tuple[str, ...]) -> dt.datetime:
    return max((at for kind, at in given.items() if kind in kinds), default=NEVER)


def _told(at: dt.datetime, source: str, now: dt.datetime, command: str) -> Text | str:
    told = "never" if at == NEVER else f"{ago(now - at)}, {cell(at)}"
    late = command and now - at > WEEKLY
    return Text(f"{told} ({plain(source)}); next: {command}", "yellow") if late else f"{told} ({plain(source)})"
