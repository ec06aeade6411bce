"""What the ledger has of one user, added up in plain Python: by action, by day, by reason, and action by action."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.config.model import Config
from lbmigrate.explain.explanation import Amount, Event
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, PERIODS
from lbmigrate.values.ids import folded_id
from lbmigrate.values.limits import named
from lbmigrate.values.zones import tzinfo_of

FIELDS = dict.fromkeys(
    ("userId", "actionType", "points", "sourceId", "createdAt", "meta.origin", "meta.reason", "meta.approximate"), 1
)
MOST = 50_000  # actions that are compared one by one; one takes some 400 bytes

Key = tuple[str, str]  # action, and the id of its source in whichever form
Places = dict[dt.datetime, int]  # when, and how many points


class Calendar:
    """Which local day a moment is on, and whether that is within a period; by the clocks of `zone`, as they are named.

    That is the user's own, or else the configuration's.
    """

    def __init__(self, config: Config, period: str, zone: str | None = None) -> None:
        self.zone = zone or config.timezone
        self._clocks, self._starts, self._period = tzinfo_of(self.zone), config.day_begins, period
        self._formats = [PERIODS[kind] for kind in config.periods]

    def day(self, at: dt.datetime) -> str:
        return self._local(at).strftime("%Y-%m-%d")

    def holds(self, at: dt.datetime) -> bool:
        """Whether the period is one that the moment is in; `global` holds every moment."""
        local = self._local(at)
        return self._period == PERIODS["global"] or any(local.strftime(each) == self._period for each in self._formats)

    def _local(self, at: dt.datetime) -> dt.datetime:
        return at.replace(tzinfo=dt.UTC).astimezone(self._clocks).replace(tzinfo=None) - self._starts


@dataclass(slots=True)
class _Sum:
    """Events and points that are still being counted."""

    events: int = 0
    points: int = 0
    live: int = 0

    def add(self, points: int, origin: Any) -> None:
        self.events += 1
        self.points += points
        self.live += origin == "live"


@dataclass(slots=True)
class Ledger:
    """What counts for a user within a period; `worth` has all periods, and is None where that is too much."""

    total: _Sum = field(default_factory=_Sum)
    newest: dt.datetime | None = None
    actions: dict[str, _Sum] = field(default_factory=dict)
    days: dict[tuple[str, str], _Sum] = field(default_factory=dict)
    reasons: dict[str, _Sum] = field(default_factory=dict)
    last: list[Event] = field(default_factory=list)
    adjustments: list[Event] = field(default_factory=list)
    worth: dict[Key, Places] | None = field(default_factory=dict)
    reached: dt.datetime | None = None
    moment: dt.datetime | None = None  # that of the event before, and what those of it add up to
    given: int = 0

    @property
    def since(self) -> dt.datetime | None:
        """Since when the score is what it is: the newest moment with points, or else the first one."""
        return self.reached or self.moment

    def note(self, event: Document, calendar: Calendar, shown: Event, most: int) -> None:
        """Take in one event of the period, none of which is newer than those before."""
        points, origin, at = int(event["points"]), _meta(event).get("origin"), event["createdAt"]
        if at != self.moment:
            self.reached = self.reached or (self.moment if self.given else None)
            self.moment, self.given = at, 0
        self.given += points
        self.total.add(points, origin)
        self.newest = at if self.newest is None else max(self.newest, at)
        self.actions.setdefault(shown.action, _Sum()).add(points, origin)
        self.days.setdefault((calendar.day(at), shown.action), _Sum()).add(points, origin)
        if len(self.last) < most:
            self.last.append(shown)
        if shown.reason:
            self.reasons.setdefault(shown.reason, _Sum()).add(points, origin)
            if len(self.adjustments) < most:
                self.adjustments.append(shown)

    def weigh(self, event: Document) -> None:
        """Add an event to what its action is worth, at its time."""
        if self.worth is None:
            return
        places = self.worth.setdefault(key_of(event.get("actionType"), event.get("sourceId")), {})
        at = event["createdAt"]
        places[at] = places.get(at, 0) + int(event["points"])
        if len(self.worth) > MOST:
            self.worth = None

    def by_action(self) -> tuple[Amount, ...]:
        return tuple(sorted(_amounts(self.actions), key=lambda each: -each.points))

    def by_reason(self) -> tuple[Amount, ...]:
        return tuple(_amounts(self.reasons))

    def by_day(self, most: int) -> tuple[Amount, ...]:
        """The newest days first."""
        newest = heapq.nlargest(most, self.days.items(), key=lambda item: item[0])
        return tuple(Amount(action, s.events, s.points, s.live, day) for (day, action), s in newest)


def key_of(action: Any, source_id: Any) -> Key:
    """What makes two mentions of an action the same one, whatever form the ids have."""
    return str(action), folded_id(source_id)


def read(context: Context, forms: Sequence[Any], calendar: Calendar, most: int) -> Ledger:
    """Everything that counts for a user, newest first, one event at a time; the newest `most` are kept to be shown."""
    found = Ledger()
    collections = {source.action: source.collection for source in context.config.sources}
    for event in _events(context, forms):
        found.weigh(event)
        if calendar.holds(event["createdAt"]):
            found.note(event, calendar, _shown(event, collections), most)
    return found


def uncounted(context: Context, forms: Sequence[Any]) -> int:
    """How many events name a user and count for nobody."""
    ledger, theirs = context.target[EVENTS], {"userId": {"$in": list(forms)}}
    return ledger.count_documents(theirs) - ledger.count_documents({**theirs, **COUNTED})


def _events(context: Context, forms: Sequence[Any]) -> Iterator[Document]:
    asked = {"userId": {"$in": list(forms)}, **COUNTED}
    for event in lenient(context.target)[EVENTS].find(asked, FIELDS).sort("createdAt", -1):
        if isinstance(event["createdAt"], dt.datetime) and isinstance(event["points"], int):  # both may be lists
            yield event


def _shown(event: Document, collections: dict[str, str]) -> Event:
    action, meta = str(event.get("actionType")), _meta(event)
    source = event.get("sourceId")
    return Event(
        id=named(event["_id"]),
        action=named(action),
        points=int(event["points"]),
        at=event["createdAt"],
        collection=collections.get(action, ""),
        document=named(source) if source is not None else "",
        origin=_word(meta.get("origin")),
        reason=_word(meta.get("reason")),
        approximate=_word(meta.get("approximate")),
    )


def _meta(event: Document) -> Document:
    meta = event.get("meta")
    return meta if isinstance(meta, dict) else {}


def _word(value: Any) -> str:
    return named(value) if isinstance(value, str) else ""


def _amounts(sums: dict[str, _Sum]) -> Iterator[Amount]:
    return (Amount(name, each.events, each.points, each.live) for name, each in sums.items())
