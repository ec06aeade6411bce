"""New events of any day folded in (`fold`), by the times of all events of a user: an index has these.

For backfills. Each entry vouches by itself: one of n events, and m new ones, are all that the ledger has of that user
and period if it has n + m of them: no more, and so none that neither of the two knows. How many it has, and when each
of them was, the index of users and times tells, after the entry was read: the ledger only grows.

Then the score is that of the entry and the points of the new events; the number, the streak and the newest time come
from the index. A streak needs the days on which an action stands. In an entry without `counted` as many actions stand
as it has events, so each of them does (`rules.adjustments.stand`), and that of `global` says so of all.

Nor does one of two events of one moment vouch: an adjustment is dated like what it corrects, and an earlier version did
not count them apart. Nor where a later period has another streak; where there is an odd event; where so many actions
cannot have the score by the rules in force. Nor of a user who is touched by anything but these events, for whoever
recorded that may have died half way; nor after a crash, since what was inserted then nobody knows any more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson import Int64
from bson.codec_options import DatetimeConversion

from lbmigrate.config.model import Config
from lbmigrate.ledger import raw_reads, rollup
from lbmigrate.ledger.fold import fold
from lbmigrate.ledger.people import People
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.ledger.usual import is_usual
from lbmigrate.ledger.walk import BATCH
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import EARLIEST, LATEST, Document
from lbmigrate.rules import ranking
from lbmigrate.rules.fold_by_index import Counted, Share, counted, shares, simultaneous, together
from lbmigrate.rules.numbered import Ints
from lbmigrate.rules.ranking import Sums
from lbmigrate.rules.vouching import MOST, can_be, is_plain
from lbmigrate.run.additions import UNREAD, Additions, Entries
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.state import layouts
from lbmigrate.values import raw_bson
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user

CODECS = rollup.CODECS.with_options(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Events:
    """Whose each event is, by number among the `owners`, and when it was."""

    owners: list[Any]
    codes: Ints
    times: Times

    def row(self, row: int) -> tuple[Any, Any]:
        return self.owners[self.codes[row]], self.times[row]


NONE = Events([], np.array([], dtype=np.int64), np.array([], dtype="datetime64[ms]"))


def fold_by_index(context: Context, users: Sequence[Any]) -> tuple[Rolled, list[Any]]:
    """Bring the entries of users who are known (`Additions.known`) up to the ledger: what came of it, and who is left.

    Of those who are left, or for whom somebody else was faster, the whole ledger is to be read.
    """
    seen, additions = layouts.look(context.state), context.additions
    if additions is None or not is_usual(context, seen.layout):
        return Rolled(), list(users)
    found = _Found(context, additions, users)
    rolled, done = fold(context, seen, found.made, found.before, found.people)
    return rolled, [user for user in users if user not in done]


class _Found:
    """What the entries of some users come to, by user, and how they were `before`; of those who vouch for the rest."""

    def __init__(self, context: Context, additions: Additions, users: Sequence[Any]) -> None:
        self.people = People(context)
        self._worth = _worth(context.config)
        events = list(additions.events(users))
        self._left: set[Any] = set(users) - {event["userId"] for event in events}
        rows = shares(*self._whole(context, users), self._added(events), context.config.periods)
        self._left |= rows.beyond
        self.before: Entries = additions.entries((row.user, row.period) for row in rows.rows)
        self.made = self._all(rows.rows)

    def _whole(self, context: Context, users: Sequence[Any]) -> tuple[Counted, list[Any]]:
        """How many events the ledger has of each user and day, whatever they are, and the users by their numbers.

        Who has odd ones is left.
        """
        parts, last = [counted(NONE.codes, NONE.codes, NONE.times)], NONE
        numbers: dict[Any, int] = {}
        for each in _times(context, users):
            usual = (each.times >= np.datetime64(EARLIEST)) & (each.times < np.datetime64(LATEST))
            odd = set(each.codes[~usual].tolist()) | simultaneous(each.codes, each.times)
            # With the last one of those before: in the index of users and times equal ones are neighbours.
            if len(each.codes) and len(last.codes) and each.row(0) == last.row(-1):
                odd.add(int(each.codes[0]))
            self._left |= {each.owners[code] for code in odd}
            last = each if len(each.codes) else last
            codes = np.array([numbers.setdefault(user, len(numbers)) for user in each.owners], dtype=np.int64)
            fine = each if usual.all() else Events(each.owners, each.codes[usual], each.times[usual])
            parts.append(counted(codes[fine.codes], self._days(fine), fine.times))
        return together(parts), list(numbers)

    def _days(self, events: Events) -> Ints:
        clocks = self.people.clocks(events.owners)
        users = [events.owners[code] for code in events.codes.tolist()] if clocks.own else ()
        return clocks.days(users, events.times)

    def _added(self, events: Sequence[Document]) -> Sums:
        owners = [event["userId"] for event in events]
        points, times = ([event[name] for event in events] for name in ("points", "createdAt"))
        return ranking.daily(owners, points, times, self.people.clocks(owners))

    def _all(self, rows: Sequence[Share]) -> Mapping[Any, list[Document]]:
        """The entries of those of whom every one vouches."""
        made: dict[Any, list[Document]] = {}
        for row in rows:
            entry = self._entry(row) if row.user not in self._left else None
            if entry is None:
                self._left.add(row.user)
            else:
                made.setdefault(row.user, []).append(entry)
        return {user: entries for user, entries in made.items() if user not in self._left}

    def _entry(self, row: Share) -> Document | None:
        """What an entry comes to; None where the one that is there does not vouch for what was there before."""
        kept = self.before.get((row.user, row.period), UNREAD)
        if kept is UNREAD or not self._vouches(row, kept):
            return None
        score = row.points + (kept["score"] if kept else 0)
        if abs(score) > MOST:
            return None
        return {
            "period": row.period,
            "score": Int64(score),
            "streak": row.streak,
            "events": Int64(row.events),
            "lastEventAt": row.last,
        }

    def _vouches(self, row: Share, kept: Document | None) -> bool:
        if kept is None:
            return row.added == row.events
        alone = is_plain(kept) and bool(kept["events"] + row.added == row.events)
        return alone and can_be(kept["score"], kept["events"], self._worth)


def _worth(config: Config) -> tuple[int, int]:
    """The least and the most that an action can be worth by the rules in force."""
    worth = [(each.points,) * 2 if isinstance(each.points, int) else each.bounds for each in config.sources]
    return min(low for low, _ in worth), max(high for _, high in worth)


def _times(context: Context, users: Sequence[Any]) -> Iterator[Events]:
    """Whose each event of these users is, and when it was: no document is read for that, but in an array's index."""
    asked, shown = {"userId": {"$in": list(users)}}, {"_id": 0, "userId": 1, "createdAt": 1}
    ledger = context.target[EVENTS]
    if is_fake(context.target):
        yield _decoded(list(ledger.find(asked, shown)))
        return
    for batch in raw_reads.read(ledger, asked, shown, BATCH):
        found = raw_bson.of_batch(batch)
        if found and _is_plain(found):
            yield _read(found)
        else:
            yield _decoded(bson.decode_all(batch.all(), CODECS))


def _read(found: dict[str, raw_bson.Column]) -> Events:
    """In the index the events of a user are neighbours: so each needs to be made an object of once."""
    users = found["userId"]
    starts = np.flatnonzero(np.append(True, (users.values[1:] != users.values[:-1]).any(axis=1)))
    codes, owners = ranking.coded(raw_bson.Column(users.kind, users.values[starts]).ids())
    lengths = np.diff(np.append(starts, len(users.values)))
    return Events(owners, np.repeat(codes, lengths), found["createdAt"].numbers().view("datetime64[ms]"))


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
    codes, owners = ranking.coded([plain_id(row["userId"]) for row in named])
    return Events(owners, codes, np.array(times, dtype="datetime64[ms]"))
