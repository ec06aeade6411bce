"""What a changed configuration would move, before anything is written: points by action, users, entries.

Told from about the first MOST events of the ledger, the first MOST documents of each source that is to be read again,
and the entries of MOST_USERS users, those who would gain or lose something before others. So it costs seconds and some
megabytes whatever the size of the ledger; where that was not all of it, `exact` is False and numbers are at least so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.ledger import rollup, sources
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.people import People
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.changed import SETTLE, changes, sentence, settle
from lbmigrate.passes.watermark import mark
from lbmigrate.reconcile import reconcile
from lbmigrate.reconcile.taken_back import number_to_allow
from lbmigrate.records import Document, amount, beside
from lbmigrate.rules import ranking
from lbmigrate.rules.adjustments import stand
from lbmigrate.rules.periods import kind_of
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, PERIODS
from lbmigrate.schema.layout import everywhere
from lbmigrate.state import layouts
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts
from lbmigrate.verify.choose import everybody

MOST, MOST_USERS, AT_ONCE = 20_000, 1_000, 200
SHOWS = ("score", "streak", "optOutSnapshot", "displayNameSnapshot", "avatarSnapshot")


@dataclass(slots=True)
class Moved:
    """What would be added for one action: adjustments, new events, and the points that these give and take."""

    adjusted: int = 0
    added: int = 0
    up: int = 0
    down: int = 0

    def __str__(self) -> str:
        told = [amount(self.adjusted, "adjustment")] if self.adjusted or not self.added else []
        told += [amount(self.added, "new event")] if self.added else []
        points = f"+{self.up:,} and -{self.down:,}" if self.up and self.down else f"{self.up - self.down:+,}"
        return f"{' and '.join(told)}, {points} {beside(self.up - self.down, 'point')}"


@dataclass(slots=True)
class Drift:
    """What has changed, what that would move, and the command that settles it.

    `points` are those that adjustments move, up and down added up. `rise` and `fall` are users by their points,
    `appear`, `go` and `change` entries, of `looked_at` users.
    """

    told: str
    next: str = SETTLE
    actions: dict[str, Moved] = field(default_factory=dict)
    points: int = 0
    rise: int = 0
    fall: int = 0
    appear: int = 0
    go: int = 0
    change: int = 0
    looked_at: int = 0
    exact: bool = True

    @property
    def summary(self) -> str:
        """What has changed, and how many adjustments that takes."""
        least = "" if self.exact else "at least "
        adjusted = amount(sum(moved.adjusted for moved in self.actions.values()), "adjustment")
        return f"{self.told}: {least}{adjusted} would move {least}{amount(self.points, 'point')}"

    def lines(self) -> Iterator[str]:
        """A line for each action, for users, and for entries."""
        least = "" if self.exact else "at least "
        yield from (f"{name}: {least}{moved}" for name, moved in self.actions.items())
        yield f"{least}{amount(self.rise, 'user')} would rise and {self.fall:,} fall"
        entries = f"{self.appear:,} would appear, {self.go:,} go and {self.change:,} show something else"
        yield f"entries of {amount(self.looked_at, 'user')} that were looked at: {entries}"


def drift(context: Context) -> Drift | None:
    """What a changed configuration would move; None where nothing has changed. Writes nothing."""
    changed = changes(context)
    if not changed:
        return None
    found, moves = Drift(sentence(changed), settle(changed)), list(_due(context))
    found.exact = len(moves) < MOST
    unread = (source for source in context.config.sources if mark(context, source).value is None)
    new = list(islice(chain.from_iterable(_new(context, source) for source in unread), MOST))
    found.exact = found.exact and len(new) < MOST
    moves += new
    _count(found, moves)
    _look_at_entries(context, found, moves)
    if found.exact and (number := number_to_allow(context)):
        found.next = f"{SETTLE} --allow {number}"
    return found


def _due(context: Context) -> Iterator[Document]:
    """The adjustments that are due, of about the first MOST sources of the ledger."""
    looked_at = 0
    for found in reconcile.differences(context):
        yield from found.due
        looked_at += found.sources
        if looked_at >= MOST:
            return


def _new(context: Context, source: Source) -> Iterator[Document]:
    """What the first documents of a source are scored as and the ledger does not have."""
    leavers, here, seen = Leavers(context.state), beginning(context), 0
    for some in sources.read(context, source, {}):
        scored = sources.score(context, source, some)
        names = [name for e in scored.events for name in (e["_id"], scored.former.get(e["_id"])) if name]
        found = (context.target[EVENTS].find({"_id": {"$in": part}}, {"_id": 1}) for part in in_parts(names))
        there = {row["_id"] for rows in found for row in rows}
        for event in scored.events:
            is_there = {event["_id"], scored.former.get(event["_id"])} & there
            if not is_there and event["userId"] not in leavers and not (here and event["createdAt"] < here.at):
                yield event
        seen += len(some)
        if seen >= MOST:
            return


def _count(found: Drift, moves: Sequence[Document]) -> None:
    users: Counter[str] = Counter()
    for event in moves:
        moved = found.actions.setdefault(event["actionType"], Moved())
        points, adjusts = int(event["points"]), "reason" in event["meta"]
        moved.adjusted, moved.added = moved.adjusted + adjusts, moved.added + (not adjusts)
        moved.up, moved.down = moved.up + max(points, 0), moved.down + max(-points, 0)
        users[exact_text(event["userId"])] += points
        found.points += abs(points) if adjusts else 0
    found.rise = sum(points > 0 for points in users.values())
    found.fall = sum(points < 0 for points in users.values())


def _look_at_entries(context: Context, found: Drift, moves: Sequence[Document]) -> None:
    theirs: dict[Any, list[Document]] = defaultdict(list)
    for event in moves:
        theirs[event["userId"]].append(event)
    users = dict.fromkeys(islice(theirs, MOST_USERS))
    others = (user for user in everybody(context) if user not in theirs)
    users |= dict.fromkeys(islice(others, MOST_USERS - len(users)))
    found.looked_at = len(users)
    found.exact = found.exact and len(users) < MOST_USERS
    for some in in_parts(list(users), AT_ONCE):
        before, after = _present(context, some), _wanted(context, some, [e for user in some for e in theirs[user]])
        found.appear += len(after.keys() - before.keys())
        found.go += len(before.keys() - after.keys())
        found.change += sum(after.get(name, told) != told for name, told in before.items())


Shown = dict[tuple[str, str], list[Any]]  # what entries show, by period and user


def _present(context: Context, users: list[Any]) -> Shown:
    asked, fields = {"userId": {"$in": users}}, dict.fromkeys(("userId", "period", *SHOWS), 1)
    rows = everywhere(context.target, layouts.layout(context.state), asked, fields)
    return _shown(row for row in rows if type(row.get("period")) is str and kind_of(row["period"]) in PERIODS)


def _wanted(context: Context, users: list[Any], moves: Sequence[Document]) -> Shown:
    """What the ledger makes of some users once these events are in it."""
    theirs, points, times = ([event[name] for event in moves] for name in ("userId", "points", "createdAt"))
    stands = [stand(event["meta"].get("reason"), event["points"]) for event in moves]
    people, utc = People(context), [at.replace(tzinfo=None) for at in times]
    added = ranking.daily(theirs, list(map(int, points)), utc, people.clocks(theirs), stands)
    days = ranking.merge([rollup.days(context.target, {"$in": users}, people), added])
    shown = people.shown(days.owners())
    return _shown(entry | shown[entry["userId"]] for entry in ranking.entries(days, context.config.periods))


def _shown(entries: Iterable[Document]) -> Shown:
    return {(each["period"], exact_text(each["userId"])): [each.get(name) for name in SHOWS] for each in entries}
