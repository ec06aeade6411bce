"""The ledger becomes entries: read the entries, then the events, recompute, compare, write only the differences.

Beside this only `fold` writes entries, where they vouch for all but a few events; this never adds to a score: it
recomputes. Why no update can be lost: the ledger only grows, so an entry's count of events only grows; the
entry is read before the events, so what is computed is at least as new as what was read; and an entry written in
between has another `rev`, which the write does not match.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from typing import Any

import bson
from bson import ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from pymongo.database import Database

from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import raw_reads
from lbmigrate.ledger.boards_anew import boards_of
from lbmigrate.ledger.changes import Differences, differences
from lbmigrate.ledger.entries import Present, places_by_period, places_of, present_entries, remove_stale
from lbmigrate.ledger.first_entries import FirstEntries, first_entries
from lbmigrate.ledger.histograms import MOST_MOVED, Histograms
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.people import People
from lbmigrate.ledger.plain_events import NotPlain, plain_events
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.ledger.uncounting import leaving
from lbmigrate.ledger.walk import BATCH
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.records import Document, amount
from lbmigrate.rules import ranking
from lbmigrate.rules.adjustments import stand
from lbmigrate.rules.ranking import Sums
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.values import raw_bson
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.paths import pluck

CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, unicode_decode_error_handler="replace"
)
ALWAYS_USERS = frozenset({ObjectId, Int64, uuid.UUID})
BACKOFF = 0.002  # seconds more for each write that was lost
CONFLICTS = 200  # a write that loses this often in a row is not losing races any more


def days(database: Database[Any], users: Document, people: People) -> Sums:
    """The ledger of the users whose id meets the condition, added up by user and day (`ranking.daily`)."""
    return _added_up(_events(database, users), people)


def _first_days(database: Database[Any], users: Document, people: People) -> Sums:
    """The same of users who have no entries yet."""
    try:
        return _added_up(plain_events(database, users), people)
    except NotPlain:
        return days(database, users, people)


def _added_up(events: Iterator[Columns], people: People) -> Sums:
    some = ((columns, people.clocks(columns[0])) for columns in events)
    parts = [ranking.daily(*columns[:3], clocks, columns[3], people.moments) for columns, clocks in some]
    return parts[0] if len(parts) == 1 else ranking.merge(parts)


Days = Callable[[Database[Any], Document, People], Sums]


def roll_up(
    context: Context, users: Document, ledger: Days = days, redone: bool = False, anywhere: bool = False
) -> Rolled:
    """Bring the entries of the users whose id meets the condition `users` up to the ledger, and then their boards.

    `redone` says that a run that takes over from this one rolls the same users up once more (see `histograms`), and
    `anywhere` that they may have entries in periods in which the ledger has nothing, as after a move to another zone.
    """
    total, everyone, histograms = Rolled(), users, Histograms(context)
    for lost in range(CONFLICTS):
        done, contested = _attempt(context, users, ledger, histograms.marked(redone), anywhere)
        total += done
        if not contested:
            if boards := boards_of(context):
                boards.publish({"userId": everyone})
            return total
        users = {"$in": contested}
        context.stop.wait(random.uniform(0, BACKOFF * lost))  # spreads out those who contest the same user
    told = f"entries of {amount(len(contested), 'user')} change faster than they can be rolled up"
    raise LbmigrateError(told, hint=AGAIN)


def _attempt(
    context: Context, users: Document, ledger: Days, marked: Container[str], anywhere: bool
) -> tuple[Rolled, list[Any]]:
    database, histograms, seen = context.target, Histograms(context), layouts.look(context.state)
    # Before the events: the order that the proof above rests on.
    computed = partial(ledger, database, users, people := People(context))
    places = _places(context, seen.layout, users, computed, anywhere or context.scope.full)
    present = present_entries(database, seen.layout, places, histograms.void)
    if archived := seen.layout.archived:
        present = {key: entry for key, entry in present.items() if key[1] not in archived}
    if ledger is days and not present and not is_fake(database):
        computed = partial(_first_days, database, users, people)
    owners, wanted, found = _to_write(context, seen.layout, present, computed(), people, marked, ledger is days)
    contested = found.write(database, histograms)
    if ledger is days and not context.live:  # a recorder, which has no lease, leaves that to the runs
        going = partial(leaving, histograms, marked)
        gone = remove_stale(database, seen.layout, present, wanted, context.config.periods, going)
        if gone and (boards := boards_of(context)):
            boards.remove(gone)
    written = found.periods
    if not layouts.stands(context.state, seen, written):
        contested |= dict.fromkeys(found.users)  # a run has moved what was there
    if written and not context.live:
        histograms.settle(MOST_MOVED, written)
    unchanged = max(0, len(wanted) - found.inserted - found.changed)
    return Rolled(users=owners, inserted=found.inserted, changed=found.changed, unchanged=unchanged), list(contested)


def _to_write(
    context: Context,
    layout: Layout,
    present: Present,
    ledger: Sums,
    people: People,
    marked: Container[str],
    whole: bool,
) -> tuple[int, list[Document], Differences | FirstEntries]:
    """How many users there are, their entries as they should be, and what is to be written.

    Where they have none yet, and the `whole` ledger of these users was read, all is written and none told.
    """
    is_usual = whole and not present and not context.live and layout.is_single and not layout.archived
    if is_usual and (first := first_entries(context, ledger, people, marked, context.clock())):
        return len(first.users), [], first
    owners, wanted = _wanted(context, ledger, people)
    wanted = [entry for entry in wanted if entry["period"] not in layout.archived] if layout.archived else wanted
    return owners, wanted, differences(layout, present, wanted, marked, context.clock())


def _places(
    context: Context, layout: Layout, users: Document, computed: Callable[[], Sums], anywhere: bool
) -> list[tuple[str, Document]]:
    """Where entries of these users may be. A full backfill looks everywhere, all else where the ledger has events."""
    if not layout.until or anywhere:
        return places_of(context.target, layout, users)
    return places_by_period(layout, users, ranking.entries(computed(), context.config.periods))


def _wanted(context: Context, ledger: Sums, people: People) -> tuple[int, list[Document]]:
    """How many users there are, and their entries as the ledger says they should be, with the snapshots of users."""
    entries = ranking.entries(ledger, context.config.periods)
    leavers = Leavers(context.state)  # after the events: one who has left meanwhile must not come back
    owners = [user for user in ledger.owners() if user not in leavers]
    if leavers:
        entries = [entry for entry in entries if entry["userId"] not in leavers]
    shown = people.shown(owners)
    for entry in entries:
        entry.update(shown[entry["userId"]])
    return len(owners), entries


Columns = tuple[list[Any], Any, Any, Any]  # users, points, times and stands, in step; None where every event stands


def _events(database: Database[Any], users: Document) -> Iterator[Columns]:
    """The events of some users, a bounded number at a time."""
    projection = {"_id": 0, "userId": 1, "points": 1, "createdAt": 1, "meta.reason": 1}
    asked = {"userId": users, **COUNTED}
    if is_fake(database):
        batch = list(database[EVENTS].find(asked, projection))
        yield from [_decoded(batch)] if batch else []
        return
    for some in raw_reads.read(database[EVENTS], asked, projection, BATCH):
        found = raw_bson.of_batch(some)
        if found is None or not _is_plain(found):
            yield _decoded(bson.decode_all(some.all(), CODECS))
        else:
            yield _read(found)


def _is_plain(found: dict[str, raw_bson.Column]) -> bool:
    """Whether users are of a kind that can be read in columns and name somebody, and no event has a reason."""
    users = found["userId"]
    if users.kind not in raw_bson.READERS or ("meta" in found and found["meta"].document()):
        return False
    return users.kind != raw_bson.STRING or all(map(names_a_user, dict.fromkeys(users.ids())))


def _read(found: dict[str, raw_bson.Column]) -> Columns:
    times = found["createdAt"].numbers().view("datetime64[ms]")
    return found["userId"].ids(), found["points"].numbers(), times, None


def _decoded(batch: Sequence[Document]) -> Columns:
    users, points, times, reasons = pluck(batch, ("userId", "points", "createdAt", "meta.reason")).values()
    kinds = ((users, ALWAYS_USERS), (points, {Int64}), (times, {dt.datetime}))
    if not all(usual.issuperset(map(type, column)) for column, usual in kinds):
        kept = [row for row, values in enumerate(zip(users, points, times, strict=True)) if _counts(*values)]
        users, points, times, reasons = ([column[row] for row in kept] for column in (users, points, times, reasons))
        users = list(map(plain_id, users))
    return users, points, times, list(map(stand, reasons, points))


def _counts(user: Any, points: Any, at: Any) -> bool:
    """What the server lets through all the same: users that name nobody, and arrays, of which it asks the elements."""
    return names_a_user(user) and isinstance(points, Int64) and isinstance(at, dt.datetime)
