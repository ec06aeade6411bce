"""New events folded into entries that vouch for the rest of the ledger: nothing but an index is read of that.

A roll-up reads all events of a user. Where few are new, this does without, by the argument of the recorder's cache
(`live.cache`), for each entry by itself:

1. Before the run inserts an event it reads the entries that the event belongs to (`watch`): those of its user in each
   of its periods. Whatever such an entry counts was in the ledger by then, so no event that the run inserted later, and
   that was not there (`enter`), is among it.
2. The ledger only grows, and an entry counts some of its events. So an entry of n events, and m new ones, are all that
   the ledger has of that user and period if it has n + m of them: no more, and so none that neither of the two knows.
   How many it has, and when each of them was, the index of users and times tells, after the entry was read.
3. The write matches just the revision that was read. So whoever else writes the entry meanwhile, having counted these
   events or not, is noticed, as in every other roll-up.

Then the score is that of the entry and the points of the new events; the number, the streak and the newest time come
from the index. A streak needs the days on which an action stands. In an entry without `counted` as many actions stand
as it has events, so each of them does (`rules.adjustments.stand`), and that of `global` says so of all.

Nobody vouches where that entry counts otherwise than the ledger: after an adjustment, of an odd event, of one that
somebody else put in or took out. Nor do two events of one moment: an adjustment is dated like what it corrects, and an
earlier version did not count them apart. Nor where the user looks otherwise than in the entry, or has another zone;
where a later period has another streak; where so many actions cannot have the score by the rules in force. Nor of a
user who is touched by anything but these events, for whoever recorded that may have died half way; nor after a crash,
since what was inserted then nobody knows any more. All these are rolled up as ever (`rollup`), from the whole ledger;
so are those whose entries somebody else was faster to write.

What it takes on trust: the score of an entry that counts right. If somebody edits that, or an event, a verification
says so, and what it names is computed from the whole ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson import Int64
from bson.codec_options import DatetimeConversion

from lbmigrate.board.profiles import ZONE
from lbmigrate.ledger import rollup
from lbmigrate.ledger.changes import changed_fields, differences
from lbmigrate.ledger.entries import COUNTED_EVENTS, WHOLE, Present
from lbmigrate.ledger.histograms import MOST_MOVED, Histograms
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.people import People
from lbmigrate.ledger.rollup import Rolled
from lbmigrate.ledger.watch import named
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import EARLIEST, LARGEST_SCORE, LATEST, Document
from lbmigrate.rules import ranking
from lbmigrate.rules.additions import Share, shares, simultaneous
from lbmigrate.rules.ranking import Sums
from lbmigrate.run.additions import Entries
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, REACHED
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.values import raw_bson
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id, same_id
from lbmigrate.values.limits import names_a_user

CODECS = rollup.CODECS.with_options(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
Times = npt.NDArray[np.datetime64]
Events = tuple[list[Any], Times]  # whose each is, and when it was


def fold(context: Context, users: Sequence[Any]) -> tuple[Rolled, list[Any]]:
    """Bring the entries of users who are known (`Additions.known`) up to the ledger: what came of it, and who is left.

    Of those who are left, or for whom somebody else was faster, the whole ledger is to be read.
    """
    seen = layouts.look(context.state)
    if context.additions is None or seen.layout.moving or seen.layout.orders:
        return Rolled(), list(users)
    found = _Found(context, seen.layout, users)
    histograms = Histograms(context)
    marked = histograms.marked(redone=True)
    written = differences(seen.layout, found.present, found.wanted, marked, context.clock())
    contested = _still(context, seen.layout, found.wanted, written.write(context.target, histograms))
    if not layouts.stands(context.state, seen, written.periods):
        contested |= dict.fromkeys(written.users)
    if written.periods:
        histograms.settle(MOST_MOVED, written.periods)
    left = [user for user in users if user in found.left or user in contested]
    if found.wanted and (boards := rollup.boards_of(context)):
        for names in in_parts([entry["_id"] for entry in found.wanted]):
            boards.publish({"_id": {"$in": names}})  # the others of these users were, by whoever wrote them
    return Rolled(len(users) - len(left), written.inserted, written.changed), left


def _still(context: Context, layout: Layout, wanted: Sequence[Document], contested: dict[Any, None]) -> dict[Any, None]:
    """Those of the users of writes of which one was lost whose entries are not what was to be written, by whomever."""
    keys = {(entry["userId"], entry["period"]): entry for entry in wanted if entry["userId"] in contested}
    now = named(context.target, layout, keys) if keys else {}
    return {key[0]: None for key, entry in keys.items() if key not in now or changed_fields(now[key], entry)}


class _Found:
    """What is to be written of some users: entries as they should be beside those `present`; and who is `left`."""

    def __init__(self, context: Context, layout: Layout, users: Sequence[Any]) -> None:
        self._config, self._people = context.config, People(context)
        assert context.additions is not None
        events = list(context.additions.events(users))
        self._layout = layout
        self.left: set[Any] = set(users) - {event["userId"] for event in events}
        whole = self._whole(context, users)
        rows = shares(whole, self._added(events), context.config.periods)
        self.left |= rows.beyond
        entries = context.additions.entries((row.user, row.period) for row in rows.rows)
        leavers = Leavers(context.state)  # after the events, as in every roll-up
        self.left |= {user for user in users if leavers and user in leavers}
        self.present: Present = {key: entry for key, entry in entries.items() if entry is not None}
        self.wanted = list(self._all(rows.rows, entries))

    def _whole(self, context: Context, users: Sequence[Any]) -> Sums:
        """How many events the ledger has of each user and day, whatever they are; who has odd ones is left."""
        parts, last = [], _none()
        for owners, times in _times(context, users):
            usual = (times >= np.datetime64(EARLIEST)) & (times < np.datetime64(LATEST))
            self.left |= {owners[row] for row in np.flatnonzero(~usual).tolist()}
            # With the last one of those before: in the index of users and times equal ones are neighbours.
            self.left |= simultaneous(last[0] + owners, np.concatenate([last[1], times]))
            last = (owners[-1:], times[-1:]) if owners else last
            kept = [owner for owner, fits in zip(owners, usual.tolist(), strict=True) if fits]
            nothing = np.zeros(len(kept), dtype=np.int64)
            parts.append(ranking.daily(kept, nothing, times[usual], self._people.clocks(kept)))
        return ranking.merge(parts)

    def _added(self, events: Sequence[Document]) -> Sums:
        owners = [event["userId"] for event in events]
        points, times = ([event[name] for event in events] for name in ("points", "createdAt"))
        return ranking.daily(owners, points, times, self._people.clocks(owners))

    def _all(self, rows: Sequence[Share], entries: Entries) -> Iterator[Document]:
        """The entries of those of whom every one vouches."""
        shown = self._people.shown(dict.fromkeys(row.user for row in rows if row.user not in self.left))
        made = {}
        for row in rows:
            key = row.user, row.period
            if row.user in self.left:
                continue
            entry = self._entry(row, entries[key], shown[row.user]) if key in entries else None
            if entry is None:
                self.left.add(row.user)
            else:
                made[key] = entry
        return (entry for (user, _), entry in made.items() if user not in self.left)

    def _entry(self, row: Share, kept: Document | None, profile: Document) -> Document | None:
        """An entry as it should be; None where the one that is there does not vouch for what was there before."""
        if row.period in self._layout.archived or not self._vouches(row, kept, profile):
            return None
        score = row.points + (kept["score"] if kept else 0)
        if abs(score) >= LARGEST_SCORE:
            return None
        return {
            "_id": f"{row.period}:{id_text(row.user)}",
            "userId": row.user,
            "period": row.period,
            "score": Int64(score),
            "streak": row.streak,
            "events": Int64(row.events),
            "lastEventAt": row.last,
            **profile,
        }

    def _vouches(self, row: Share, kept: Document | None, profile: Document) -> bool:
        if kept is None:
            return row.added == row.events
        whole = all(type(kept.get(name)) is Int64 for name in ("score", "events")) and type(kept.get("rev")) in WHOLE
        plain = not {COUNTED_EVENTS, REACHED} & kept.keys() and (ZONE in kept) == (ZONE in profile)
        alike = all(name in kept and kept[name] == value for name, value in profile.items())
        is_one = kept.get("period") == row.period and same_id(kept["userId"], row.user)
        if not (whole and plain and alike and is_one):
            return False
        return bool(kept["events"] + row.added == row.events) and self._can_be(kept["score"], kept["events"])

    def _can_be(self, score: int, events: int) -> bool:
        """Whether so many events can have this score, by the rules in force."""
        rules = self._config.sources
        worth = [(each.points,) * 2 if isinstance(each.points, int) else each.bounds for each in rules]
        least, most = min(low for low, _ in worth), max(high for _, high in worth)
        return abs(score) < LARGEST_SCORE and least * events <= score <= most * events


def _none() -> Events:
    return [], np.array([], dtype="datetime64[ms]")


def _times(context: Context, users: Sequence[Any]) -> Iterator[Events]:
    """Whose each event of these users is, and when it was: no document is read for that, but in an array's index."""
    asked, shown = {"userId": {"$in": list(users)}}, {"_id": 0, "userId": 1, "createdAt": 1}
    ledger = context.target[EVENTS]
    if is_fake(context.target):
        yield _decoded(list(ledger.find(asked, shown)))
        return
    for raw in ledger.find_raw_batches(asked, shown):
        found = raw_bson.columns(raw) if raw else {}
        if found and _is_plain(found):
            yield found["userId"].ids(), found["createdAt"].numbers().view("datetime64[ms]")
        else:
            yield _decoded(bson.decode_all(raw, CODECS))


def _is_plain(found: dict[str, raw_bson.Column]) -> bool:
    """Whether all of these have a user of one kind, and a time."""
    if found.keys() != {"userId", "createdAt"} or found["createdAt"].kind != raw_bson.DATE:
        return False
    users = found["userId"]
    named = users.kind != raw_bson.STRING or all(map(names_a_user, dict.fromkeys(users.ids())))
    return users.kind in raw_bson.READERS and named


def _decoded(rows: Sequence[Document]) -> Events:
    """The same of events one by one. One without a usual time is at none; one of no user counts for nobody."""
    named = [row for row in rows if names_a_user(row.get("userId"))]
    times = [at if isinstance(at := row.get("createdAt"), dt.datetime) else None for row in named]
    return [plain_id(row["userId"]) for row in named], np.array(times, dtype="datetime64[ms]")
