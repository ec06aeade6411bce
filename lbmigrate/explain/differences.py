"""Where the entry, the ledger and the sources of one user do not agree, and the command that settles each."""

from __future__ import annotations

import datetime as dt
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lbmigrate.board.profiles import profiles_of
from lbmigrate.explain.documents import Told
from lbmigrate.explain.explanation import Difference
from lbmigrate.explain.ledger import Calendar, Key, Ledger, Places
from lbmigrate.ledger import binding
from lbmigrate.records import Document, amount, beside
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, REACHED
from lbmigrate.state import layouts
from lbmigrate.values.limits import named, short

RECONCILE = "lbmigrate reconcile"
SNAPSHOTS = {
    "displayNameSnapshot": "name", "avatarSnapshot": "avatar", "optOutSnapshot": "opt-out",
    "timezoneSnapshot": "time zone",
}  # fmt: skip


@dataclass(slots=True)
class Differences:
    """Finds what differs; `total` counts what is told and what is not."""

    context: Context
    user: str
    period: str
    calendar: Calendar
    ledger: Ledger
    told: Told
    row: Document | None
    total: int = 0

    @property
    def backfill(self) -> str:
        """What reads the user's documents again and rebuilds the entries; of who has none, only a full one does."""
        bound = f"--user {shlex.quote(self.user)}" if self.told.known else "--full"
        return f"lbmigrate backfill {bound}"

    def found(self, most: int) -> tuple[Difference, ...]:
        """The first `most` of them: those of single actions, then those of the entry.

        Where the ledger as a whole has lost something, that is to be settled before anything else can be.
        """
        kept: list[Difference] = []
        for each in self._all():
            self.total += 1
            if len(kept) < most:
                kept.append(each)
        self.total += self._untold()
        if kept and (lost := binding.apart(self.context)):
            kept.insert(0, Difference(EVENTS, lost.sentence, "that is settled first", lost.way))
            self.total += 1
        return tuple(kept)

    def _untold(self) -> int:
        beyond = (
            self.told.lacking_total - len(self.told.lacking),
            self.told.otherwise_total - len(self.told.otherwise),
        )
        return sum(beyond)

    def _all(self) -> Iterator[Difference]:
        if self.ledger.worth is None:
            yield from self._sums()
        else:
            yield from self._lacking()
            yield from self._otherwise()
            yield from self._without_source(self.ledger.worth)
        yield from self._entry()
        yield from self._snapshots()

    # --- the entry -------------------------------------------------------------------------------------------------

    def _entry(self) -> Iterator[Difference]:
        total, row = self.ledger.total, self.row
        says = (
            "no entry"
            if row is None
            else _words(row.get("score"), row.get("counted", row.get("events")), row.get("lastEventAt"))
        )
        if not total.events:
            if row is not None:
                yield self._of_entry(says, "no event of this period")
            return
        instead = _words(total.points, total.events, self.ledger.newest)
        if says != instead:
            yield self._of_entry(says, instead)
        elif row is not None and (kept := row.get(REACHED)) != (due := self._since()):
            yield Difference(
                "score of the entry", f"since {_told(kept)}", f"the ledger: since {_told(due)}", self.backfill
            )

    def _since(self) -> dt.datetime | None:
        """Since when the score is what it is, where entries say so."""
        return self.ledger.since if layouts.layout(self.context.state).orders else None

    def _of_entry(self, says: str, instead: str) -> Difference:
        return Difference(f"entry of {self.period}", says, f"the ledger: {instead}", self.backfill)

    def _snapshots(self) -> Iterator[Difference]:
        if self.row is None:
            return
        now = profiles_of(self.context.sources, self.context.config, [self.row["userId"]])[self.row["userId"]]
        for field, word in SNAPSHOTS.items():
            if (kept := self.row.get(field)) != now.get(field):
                yield Difference(
                    f"{word} of the entry", _told(kept), f"the user: {_told(now.get(field))}", self.backfill
                )

    # --- actions ---------------------------------------------------------------------------------------------------

    def _lacking(self) -> Iterator[Difference]:
        others = self._of_others()
        for _, action in self.told.lacking:
            instead = f"the source: {_points(action.points, action.at)}"
            if (owner := others.get(action.id)) is not None:
                yield Difference(named(action.id), f"the ledger has it for user {owner}", instead, RECONCILE)
            else:
                yield Difference(named(action.id), "the ledger lacks it", instead, self.backfill)

    def _of_others(self) -> dict[str, str]:
        """Whom the ledger names in the events of actions that it lacks under this user."""
        names = [action.id for _, action in self.told.lacking]
        if not names:
            return {}
        rows = self.context.target[EVENTS].find({"_id": {"$in": names}}, {"userId": 1})
        return {row["_id"]: named(row["userId"]) for row in rows}

    def _otherwise(self) -> Iterator[Difference]:
        for action, places in self.told.otherwise:
            instead = f"the source: {_points(action.points, action.at)}"
            yield Difference(named(action.id), f"the ledger: {_places(places)}", instead, RECONCILE)

    def _without_source(self, worth: dict[Key, Places]) -> Iterator[Difference]:
        """What counts, and no source of this user tells of: gone, out of scope, or of somebody else by now."""
        for (action, source), places in worth.items():
            standing = {at: points for at, points in places.items() if points}
            if standing and any(map(self.calendar.holds, standing)):
                says = f"the ledger: {_places(standing)}"
                yield Difference(named(f"{action}:{source}"), says, "no source tells of it any more", RECONCILE)

    def _sums(self) -> Iterator[Difference]:
        """The sums alone, of a user with too many actions to compare one by one."""
        actions = {source.name: source.action for source in self.context.config.sources}
        now: Counter[str] = Counter()
        for said in self.told.sources:
            now[actions[said.source]] += said.points
        for had in self.ledger.by_action():
            if now[had.name] != had.points:
                instead = f"the sources: {amount(now[had.name], 'point')}"
                yield Difference(had.name, f"the ledger: {amount(had.points, 'point')}", instead, RECONCILE)


def _words(score: Any, events: Any, newest: Any) -> str:
    at = f"{newest.isoformat(timespec='seconds')}Z" if isinstance(newest, dt.datetime) else short(newest)
    return f"{_number(score)} {beside(score, 'point')} of {_number(events)} {beside(events, 'event')} up to {at}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{short(value)!r}"


def _points(points: int, at: dt.datetime) -> str:
    return f"{amount(points, 'point')} at {at.isoformat(timespec='seconds')}Z"


def _places(places: Places) -> str:
    return " and ".join(_points(points, at) for at, points in places.items()) or "nothing"


def _told(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return f"{value.isoformat()}Z"
    return "none" if value is None else ("yes" if value else "no") if isinstance(value, bool) else repr(short(value))
