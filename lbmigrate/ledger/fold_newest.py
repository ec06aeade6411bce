"""The newest events folded in (`fold`): what counts from the entries alone, for those who record live.

The overall entry stands for so many events, and knows the newest time of them; an index answers how many the ledger
has, and when the newest one was. Nor may two of them be of one moment: an adjustment is dated like what it corrects,
and an entry of an earlier version did not count them apart. An entry of many events is held against the ledger only so
often that COUNTED are counted each time.

What depends on more than the newest events is for the ledger: earlier days, actions that were taken back, and clocks
that were put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pymongo.errors import PyMongoError

from lbmigrate.ledger.fold import fold
from lbmigrate.ledger.looked_at import LookedAt, days_of
from lbmigrate.ledger.usual import is_usual
from lbmigrate.mongo.faults import is_transient
from lbmigrate.records import Document
from lbmigrate.rules.fold_newest import Newer, with_newer
from lbmigrate.rules.vouching import OVERALL, counted
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.state import layouts
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user

COUNTED = 10  # events of a user that an index counts each time, on average
SHARE = 100  # users from whom on it is worth to write the entries of several shares at the same time

_BY_MOMENT = {"_id": {"user": "$userId", "at": "$createdAt"}, "events": {"$sum": 1}}
_SUMS = {"events": {"$sum": "$events"}, "moments": {"$sum": 1}, "last": {"$max": "$_id.at"}}
_BY_USER: list[Document] = [{"$group": _BY_MOMENT}, {"$group": {"_id": "$_id.user", **_SUMS}}]

Entries = dict[str, Document]  # of a user, by period


def fold_newest(context: Context, looked: LookedAt, others: Iterable[Any] = ()) -> list[Any]:
    """Bring entries up to the events that were inserted; the users, `others` among them, who have to be rolled up."""
    whole = {**looked.unclear, **dict.fromkeys(others)}
    users = [user for user in looked.new if user not in whole]
    try:
        done = _folded(context, looked, users) if users else set()
    except PyMongoError as error:
        if not is_transient(error):
            raise
        done = set()  # it is not known what was written
    return [*whole, *(user for user in users if user not in done)]


def folds_unasked(looked: LookedAt, event: Document) -> bool:
    """Whether a new event folds into entries that there are and were read, with no question after it was inserted.

    Before a user gets an entry that was not there, it is asked who has left, of a majority that has the event.
    """
    overall = looked.entries.get((event["userId"], OVERALL))
    if overall is None or None in looked.entries.values() or counted(overall) < 0 or looked.unclear:
        return False
    return not _is_due(overall, [event])


def _folded(context: Context, looked: LookedAt, users: Sequence[Any]) -> set[Any]:
    seen = layouts.look(context.state)
    if not is_usual(context, seen.layout):
        return set()
    before: dict[Any, Entries] = {user: {} for user in users}
    for (user, period), entry in looked.entries.items():
        if entry is not None and user in before:
            before[user][period] = entry
    made = _made(context, looked, before)
    hands = min(context.config.backfill.workers, max(1, len(made) // SHARE))
    return fold(context, seen, made, looked.entries, looked.people, hands)[1]


def _made(context: Context, looked: LookedAt, before: Mapping[Any, Entries]) -> dict[Any, list[Document]]:
    """What the entries of these users come to, of those who vouch for the rest."""
    users = _vouched(context, {user: some[OVERALL] for user, some in before.items() if OVERALL in some}, looked.new)
    newer, last_days = _newer(looked, users), _last_days(looked, {user: before[user][OVERALL] for user in users})
    made = (
        (user, with_newer(before[user], newer[user], last_day, context.config.periods))
        for user, last_day in last_days.items()
    )
    return {user: entries for user, entries in made if entries is not None}


def _newer(looked: LookedAt, users: Sequence[Any]) -> dict[Any, list[Newer]]:
    events = [event for user in users for event in looked.new[user]]
    found: dict[Any, list[Newer]] = {user: [] for user in users}
    for event, day in zip(events, days_of(looked.people, events) if events else (), strict=True):
        found[event["userId"]].append(Newer(day, event["createdAt"], event["points"]))
    return found


def _last_days(looked: LookedAt, overall: Mapping[Any, Document]) -> dict[Any, int]:
    """The newest day that counts already, of each user whose clocks were not put back at that time."""
    if not overall:
        return {}
    users, clocks = list(overall), looked.people.clocks(list(overall))
    moments = np.array([entry["lastEventAt"] for entry in overall.values()], dtype="datetime64[ms]")
    days, back = clocks.days(users, moments).tolist(), clocks.put_back(users, moments).tolist()
    return {user: day for user, day, unsteady in zip(users, days, back, strict=True) if not unsteady}


# --- held against the ledger -------------------------------------------------------------------------------------


def _vouched(context: Context, overall: Mapping[Any, Document], new: Mapping[Any, Sequence[Document]]) -> list[Any]:
    """Those users whose `overall` entries, as they were before, lack nothing of the ledger but the `new` events."""
    plain = [user for user, entry in overall.items() if counted(entry) >= 0]
    due = [user for user in plain if _is_due(overall[user], new[user])]
    found: dict[Any, tuple[int, int, Any]] = {}
    for part in in_parts(due):
        matching = {"userId": part[0] if len(part) == 1 else {"$in": part}}
        groups = context.target[EVENTS].aggregate([{"$match": matching}, *_BY_USER])
        known = (group for group in groups if names_a_user(group["_id"]))
        found |= {plain_id(group["_id"]): (group["events"], group["moments"], group["last"]) for group in known}
    wrong = {user for user in due if found.get(user) != _expected(overall[user], new[user])}
    return [user for user in plain if user not in wrong]


def _is_due(entry: Document, new: Sequence[Document]) -> bool:
    """Whether it is held against the ledger now: always with few events, with many at every so-manieth revision.

    And where an event is not newer than all that it counts: it may count that very one, of which a lost primary said
    that it has it (`one_wait`), and nobody had computed it anew yet.
    """
    if any(event["createdAt"] <= entry["lastEventAt"] for event in new):
        return True
    seldom = 1 << (counted(entry) // COUNTED).bit_length()  # the same for long, while the revisions go on
    return seldom <= 2 or bool(entry["rev"] % seldom == 0)


def _expected(entry: Document, new: Sequence[Document]) -> tuple[int, int, Any]:
    """How many events the ledger is to have of a user, each of a moment of its own, and the newest time of them."""
    events = counted(entry) + len(new)
    return events, events, max(entry["lastEventAt"], *(event["createdAt"] for event in new))
