"""Entries that go on: what newer events add to what an entry counts already, without the events before. Pure.

That is possible where each event that the entry counts is an action that stands, and none of the new ones is of an
earlier day than the newest of those: then scores and numbers grow, and the streak goes on from that day. Whatever is
not so, or looks otherwise than it must, is for the ledger to say.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bson import Int64

from lbmigrate.records import Document
from lbmigrate.rules.periods import label
from lbmigrate.rules.vouching import MOST, OVERALL, is_plain


@dataclass(frozen=True, slots=True)
class Newer:
    """A new action: on which day of its user, counted from 1970-01-01, when (naive UTC), and what it is worth."""

    day: int
    at: dt.datetime
    points: int


def with_newer(
    present: Mapping[str, Document], newer: Sequence[Newer], last_day: int, kinds: Iterable[str]
) -> list[Document] | None:
    """The entries of a user that these actions change, as they are with them; None where that cannot be told.

    `present` has by their periods the one of OVERALL, and of the periods of the new actions those that there are.
    `last_day` is the newest day with an action that counts already. What is returned has period, score, streak, events
    and lastEventAt.
    """
    overall = present.get(OVERALL)
    if overall is None or not is_plain(overall) or any(each.day < last_day for each in newer):
        return None
    streaks = _streaks(overall["streak"], last_day, sorted({each.day for each in newer}))
    made = []
    for kind in kinds:
        for period, some in _by_period(kind, newer).items():
            kept = present.get(period)
            is_begun = label(kind, last_day) == period
            if (kept is not None) != is_begun or (kept is not None and not _agree(kept, overall)):
                return None
            made.append(_grown(period, kept, some, streaks))
    return made if all(abs(entry["score"]) <= MOST for entry in made) else None


def _agree(kept: Document, overall: Document) -> bool:
    """Whether the entry of a period with the newest day says of that day what the overall one says."""
    alike = all(kept.get(name) == overall[name] for name in ("lastEventAt", "streak"))
    return alike and is_plain(kept) and bool(kept["events"] <= overall["events"])


def _streaks(streak: int, last_day: int, days: Iterable[int]) -> dict[int, int]:
    found = {}
    for day in days:
        streak = streak if day == last_day else streak + 1 if day == last_day + 1 else 1
        found[day], last_day = streak, day
    return found


def _by_period(kind: str, newer: Iterable[Newer]) -> dict[str, list[Newer]]:
    found: dict[str, list[Newer]] = {}
    for each in newer:
        found.setdefault(label(kind, each.day), []).append(each)
    return found


def _grown(period: str, kept: Document | None, some: Sequence[Newer], streaks: Mapping[int, int]) -> Document:
    score, events, moments = (kept["score"], kept["events"], [kept["lastEventAt"]]) if kept else (0, 0, [])
    return {
        "period": period,
        "score": Int64(score + sum(each.points for each in some)),
        "streak": streaks[max(each.day for each in some)],
        "events": Int64(events + len(some)),
        "lastEventAt": max([*moments, *(each.at for each in some)]),
    }
