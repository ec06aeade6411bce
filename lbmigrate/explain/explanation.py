"""What an explanation holds. Plain frozen data, the same for a terminal, for `--json` and for a support page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum


class Standing(StrEnum):
    """How a user stands to the board."""

    SHOWN = "on the board"
    HIDDEN = "opted out: counted, and shown to nobody"
    ABSENT = "no entry"
    LEFT = "taken out by forget"


@dataclass(frozen=True, slots=True)
class Entry:
    """The user's entry of the period. `rank` is None for who is not shown; `name` is what the board shows.

    `reached` is since when the score is what it is, where `ranking.order` asks for that.
    """

    score: int
    events: int
    streak: int
    last_event: dt.datetime | None
    updated: dt.datetime | None
    name: str | None
    rank: int | None = None
    reached: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Amount:
    """Events and what they add up to, under a name: an action, a reason, or a local day with an action.

    `live` is how many of the events were recorded by the app as they happened.
    """

    name: str
    events: int
    points: int
    live: int = 0
    day: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the ledger. `document` is the id of what it tells of, in `collection` where that is known.

    `reason` is that of an adjustment, `approximate` the field that a time was guessed from; both may be empty.
    """

    id: str
    action: str
    points: int
    at: dt.datetime
    collection: str
    document: str
    origin: str = ""
    reason: str = ""
    approximate: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A document of the user that does not count, or not once more, and why."""

    source: str
    document: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceSays:
    """What one source says of the user now, beside what the ledger has of its action.

    `documents` name the user, `actions` of them (or of their elements) count within the period, for `points`.
    `out_of_scope` do not meet the source's `where`; `too_early` are from before the board begins.
    """

    source: str
    collection: str
    documents: int
    out_of_scope: int
    actions: int
    points: int
    too_early: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the entry, the ledger and the sources do not agree, and the command that settles it."""

    subject: str
    says: str
    instead: str
    next: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a user's score of a period is what it is.

    Lists hold the newest few; the figure beside each says how many there are. `compared` is False for a user with too
    many actions to compare one by one: then the sums alone are compared. `next` are the commands that would change it,
    in the order in which they are to be typed. Times are UTC; days are those of the user's time zone, or else the
    configuration's.
    """

    user: str
    period: str
    standing: Standing
    known: bool = False
    left_at: dt.datetime | None = None
    entry: Entry | None = None
    events: int = 0
    points: int = 0
    actions: tuple[Amount, ...] = ()
    days: tuple[Amount, ...] = ()
    days_total: int = 0
    last: tuple[Event, ...] = ()
    reasons: tuple[Amount, ...] = ()
    adjustments: tuple[Event, ...] = ()
    rejects: tuple[Refused, ...] = ()
    rejects_total: int = 0
    duplicates: tuple[Refused, ...] = ()
    duplicates_total: int = 0
    sources: tuple[SourceSays, ...] = ()
    compared: bool = True
    differences: tuple[Difference, ...] = ()
    differences_total: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def next(self) -> tuple[str, ...]:
        """The commands that would make the three agree, each once."""
        return tuple(dict.fromkeys(each.next for each in self.differences if each.next))
