"""New events folded into the entries of their users, without reading the ledger again: for those who record live.

Everybody else recomputes (`rollup`), and so does this for whomever it cannot fold. Why the result is the same:

1. An entry is read before the new events are inserted, so it counts none of them. It stands for a set of events S, all
   in the ledger, that its writer has read.
2. The insert says which events are new: K, all of them in the ledger now, none of them in S. An event that was there
   already, for whatever reason, may be in S or not: its user is rolled up.
3. What is written is S and K together, by a write that matches only the very entry that was read (`entries.this`).
   Whoever has written one meanwhile, or removed it, makes that write match nothing: then the user is rolled up.
4. Who rolls up, and has read an entry before that, does not match it any more and begins again; one who reads it after
   that finds K in the ledger, for K was there before it was written. So the proof of `rollup` holds as it is.

That alone would keep an entry as wrong as it was: it may lack an event whose writer has died, or writes no entries. So
it must vouch for the ledger besides (`vouching`). Only a rollback removes events, and before that all entries.

What depends on more than the newest events is for the ledger: earlier days, actions that were taken back, clocks that
were put back, other snapshots of the user, and orders in which who was first stands first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from lbmigrate.board.profiles import ZONE
from lbmigrate.ledger.changes import differences
from lbmigrate.ledger.entries import FIELDS, Present, held
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.people import People
from lbmigrate.ledger.rollup import boards_of
from lbmigrate.ledger.vouching import vouched
from lbmigrate.mongo.concerns import lenient
from lbmigrate.mongo.faults import is_transient
from lbmigrate.records import Document
from lbmigrate.rules.newer import OVERALL, Newer, with_newer
from lbmigrate.rules.periods import label
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id, same_id

SHARE = 100  # users from whom on it is worth to write the entries of several shares at the same time

Entries = dict[str, Document]  # of a user, by period


class Fold:
    """What some entries said before events were inserted, and which of the events were new: for one batch of them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen = layouts.look(context.state)
        self._people = People(context)
        self._asked: dict[Any, set[str]] = {}
        self._before: dict[Any, Entries] = {}
        self._new: dict[Any, list[Document]] = {}
        self._whole: dict[Any, None] = {}

    @property
    def new(self) -> list[Document]:
        """The events that were new."""
        return [event for events in self._new.values() for event in events]

    def look(self, events: Sequence[Document]) -> None:
        """Read the entries that these events will change. To be called before they are inserted."""
        if not events or not _is_usual(self._seen.layout, self._context):
            return
        wanted = self._periods(events)
        self._whole |= {user: None for user, periods in wanted.items() if periods & self._seen.layout.archived}
        # Of a period that is new to a user of an earlier look, nothing was inserted since then.
        fresh = {user: periods - self._asked.get(user, set()) for user, periods in wanted.items()}
        for home, names in _names(self._seen.layout, fresh).items():
            self._read(lenient(self._context.target)[home], names)
        for user, periods in fresh.items():
            self._asked.setdefault(user, set()).update(periods)

    def take(self, events: Sequence[Document], new: Sequence[Document]) -> None:
        """Note which of the events were inserted just now; of the others nothing is known but their users."""
        mine = set(map(id, new))
        for event in events:
            if id(event) in mine:
                self._new.setdefault(event["userId"], []).append(event)
            else:
                self._whole[event["userId"]] = None

    def write(self, others: Iterable[Any] = ()) -> list[Any]:
        """Write the entries of those who can be folded; the users, `others` among them, who have to be rolled up."""
        whole = {**self._whole, **dict.fromkeys(others)}
        users = [user for user in self._new if user not in whole]
        try:
            wanted = self._wanted([user for user in users if user in self._before])
            lost = self._written(wanted) if wanted else {}
        except PyMongoError as error:
            if not is_transient(error):
                raise
            return [*whole, *users]  # it is not known what was written
        return [*whole, *(user for user in users if user not in wanted or user in lost)]

    # --- before the events -----------------------------------------------------------------------------------------

    def _read(self, collection: Collection[Any], names: Mapping[str, tuple[Any, str]]) -> None:
        for part in in_parts(list(names)):
            for entry in collection.find({"_id": {"$in": part}}, FIELDS):
                user, period = names[entry["_id"]]
                if same_id(plain_id(entry.get("userId")), user) and entry.get("period") == period:
                    self._before.setdefault(user, {})[period] = held(entry)

    def _periods(self, events: Sequence[Document]) -> dict[Any, set[str]]:
        found: dict[Any, set[str]] = {}
        for event, day in zip(events, self._days(events), strict=True):
            labels = (label(kind, day) for kind in self._context.config.periods)
            found.setdefault(event["userId"], set()).update(labels)
        return found

    def _days(self, events: Sequence[Document]) -> list[int]:
        users = [event["userId"] for event in events]
        times = np.array([event["createdAt"] for event in events], dtype="datetime64[ms]")
        days: list[int] = self._people.clocks(users).days(users, times).tolist()
        return days

    # --- after them ------------------------------------------------------------------------------------------------

    def _wanted(self, users: list[Any]) -> dict[Any, list[Document]]:
        """The entries as they should be, of those of these users who can be folded."""
        overall = {user: self._before[user].get(OVERALL, {}) for user in users}
        users = vouched(self._context, overall, self._new)
        shown = self._people.shown(users)
        newer, last_days = self._newer(users), self._last_days(users)
        found = {}
        for user in users:
            last_day = last_days.get(user)
            if last_day is None or not all(_shows(entry, shown[user]) for entry in self._before[user].values()):
                continue
            made = with_newer(self._before[user], newer[user], last_day, self._context.config.periods)
            if made is not None:
                found[user] = [_entry(user, entry, shown[user]) for entry in made]
        return self._without_leavers(found)

    def _without_leavers(self, found: dict[Any, list[Document]]) -> dict[Any, list[Document]]:
        """But for those who have left meanwhile, and who would get an entry that they did not have: it would stay.

        Of those that they had nothing is changed any more, or it goes after that.
        """
        begun = {user for user, made in found.items() if any(each["period"] not in self._before[user] for each in made)}
        leavers = Leavers(self._context.state) if begun else ()  # after the events, as in a roll-up
        gone = {user for user in begun if leavers and user in leavers}
        return {user: made for user, made in found.items() if user not in gone}

    def _newer(self, users: Sequence[Any]) -> dict[Any, list[Newer]]:
        events = [event for user in users for event in self._new[user]]
        found: dict[Any, list[Newer]] = {user: [] for user in users}
        for event, day in zip(events, self._days(events) if events else (), strict=True):
            found[event["userId"]].append(Newer(day, event["createdAt"], event["points"]))
        return found

    def _last_days(self, users: Sequence[Any]) -> dict[Any, int]:
        """The newest day that counts already, of each user whose clocks were not put back at that time."""
        times = {user: self._before[user][OVERALL]["lastEventAt"] for user in users}
        if not times:
            return {}
        moments = np.array(list(times.values()), dtype="datetime64[ms]")
        clocks, names = self._people.clocks(list(times)), list(times)
        days, back = clocks.days(names, moments).tolist(), clocks.put_back(names, moments).tolist()
        return {user: day for user, day, unsteady in zip(names, days, back, strict=True) if not unsteady}

    # --- writing ---------------------------------------------------------------------------------------------------

    def _written(self, wanted: Mapping[Any, list[Document]]) -> dict[Any, None]:
        """Write these entries; the users for whom somebody else was faster, or who have to be looked at again."""
        context, users = self._context, list(wanted)
        shares = min(context.config.backfill.workers, max(1, len(users) // SHARE))
        parts = [[entry for user in users[share::shares] for entry in wanted[user]] for share in range(shares)]
        if shares == 1:
            lost = self._write_share(parts[0])
        else:
            with ThreadPoolExecutor(shares) as pool:
                lost = {user: None for some in pool.map(self._write_share, parts) for user in some}
        periods = {entry["period"] for part in parts for entry in part}
        if not layouts.stands(context.state, self._seen, periods):
            return dict.fromkeys(users)  # a run has moved what was there
        done = [user for user in users if user not in lost]
        if done and (boards := boards_of(context)):
            boards.publish({"userId": {"$in": done}}, periods)
        return lost

    def _write_share(self, entries: Sequence[Document]) -> dict[Any, None]:
        histograms = Histograms(self._context)
        present: Present = {
            (user, period): self._before[user][period]
            for user, period in ((entry["userId"], entry["period"]) for entry in entries)
            if period in self._before[user]
        }
        marked, now = histograms.marked(redone=False), self._context.clock()
        return differences(self._seen.layout, present, entries, marked, now).write(self._context.target, histograms)


def _is_usual(layout: Layout, context: Context) -> bool:
    """Whether entries are where they stay, say no more than they always do, and include the overall ones."""
    return not (layout.moving or layout.orders) and OVERALL in context.config.periods


def _names(layout: Layout, wanted: Mapping[Any, Iterable[str]]) -> dict[str, dict[str, tuple[Any, str]]]:
    """By collection, the `_id` of each of these entries with its user and period."""
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    for user, periods in wanted.items():
        text = id_text(user)
        for period in periods:
            found.setdefault(layout.home(period), {})[f"{period}:{text}"] = (user, period)
    return found


def _shows(entry: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Whether an entry shows of its user what is to be shown, computed by the same clocks; else all entries change."""
    return all(entry.get(name) == value for name, value in shown.items()) and (ZONE in entry) == (ZONE in shown)


def _entry(user: Any, made: Document, shown: Document) -> Document:
    return {"_id": f"{made['period']}:{id_text(user)}", "userId": user, **made, **shown}
