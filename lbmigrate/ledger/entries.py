"""Entries as they are in their collections, read to be compared; and the removal of those that are not right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from bson import Int64
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.board.profiles import ZONE
from lbmigrate.ledger.revisions import WHOLE
from lbmigrate.mongo.concerns import lenient
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import AVATAR_LENGTH, LONGEST_ID, Document
from lbmigrate.rules.periods import kind_of
from lbmigrate.schema import ENTRIES, REACHED
from lbmigrate.schema.layout import Layout, homes
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import NO_TEXT, SMALL, is_lost, names_a_user

Present = dict[tuple[Any, str], Document]  # entries by user and period
DERIVED = (
    "period", "score", "events", "lastEventAt", "streak", "optOutSnapshot", "displayNameSnapshot", "avatarSnapshot",
)  # fmt: skip
COMPARED = ("rev", *DERIVED, ZONE, REACHED)
COUNTED_EVENTS = "counted"  # of an entry: how many events the ledger has, where these are not as many as actions stand
FIELDS = dict.fromkeys(("userId", "createdAt", "moved", COUNTED_EVENTS, *COMPARED), 1)
LONGEST_NAME = 20 * LONGEST_ID  # characters of an `_id`; the text of a user's id may be some times as long as the id
SPARE = 20  # entries that are held before they are removed
Before = Callable[[Container[str]], None]  # is told the periods from which entries go that nobody has counted out


def present_entries(
    database: Database[Any], layout: Layout, places: Iterable[tuple[str, Document]], before: Before
) -> Present:
    """The entries of some users: in each place, a collection, of those whose id meets its condition (`places_of`).

    Of two for one user and period, which only others can make, one goes.
    """
    found: Present = {}
    for name, users in places:
        _add_present(lenient(database)[name], layout, users, found, before)
    return found


def places_of(database: Database[Any], layout: Layout, users: Document) -> list[tuple[str, Document]]:
    """Every collection that may hold entries of these users."""
    return [(name, users) for name in homes(database, layout)]


def places_by_period(layout: Layout, users: Document, entries: Iterable[Document]) -> list[tuple[str, Document]]:
    """The collections that hold entries of these users of the periods of `entries`; the base one for all of them."""
    found: dict[str, dict[Any, None]] = {}
    for entry in entries:
        if layout.has_own(entry["period"]):
            found.setdefault(layout.home(entry["period"]), {})[entry["userId"]] = None
    parts = [(name, some) for name, theirs in found.items() for some in in_parts(list(theirs))]
    return [(ENTRIES, users), *((name, {"$in": some}) for name, some in parts)]


def _add_present(collection: Collection[Any], layout: Layout, users: Document, found: Present, before: Before) -> None:
    spare: list[Document] = []
    for entry in collection.find({"userId": users}, FIELDS):
        if not names_a_user(entry["userId"]):
            continue
        here = layout.home(period_in(entry)) == collection.name
        if _is_ours(entry) and not here and collection.name == ENTRIES:
            continue  # a copy of what has a collection of its own by now, which a run removes
        key = plain_id(entry["userId"]), period_in(entry)
        if _is_ours(entry) and here and found.setdefault(key, held(entry)) is entry:
            continue
        if here:
            before({period_in(entry)})
        spare.append({"_id": NO_TEXT if is_lost(entry["_id"]) else entry["_id"], "userId": entry["userId"]})
        if len(spare) == SPARE:  # each of them may be large
            _remove_spare(collection, spare)
    _remove_spare(collection, spare)


def _is_ours(entry: Document) -> bool:
    """Whether an entry has such an `_id` as this toolkit gives."""
    name = entry["_id"]
    if not isinstance(name, str) or len(name) > LONGEST_NAME or is_lost(name):
        return False
    return name.startswith(f"{period_in(entry)}:")


def _remove_spare(collection: Collection[Any], spare: list[Document]) -> None:
    for each in spare:
        _remove(collection, {**each, "rev": {"$exists": True}})
    spare.clear()


def remove_stale(
    database: Database[Any],
    layout: Layout,
    present: Present,
    wanted: Sequence[Document],
    kinds: Container[str],
    leaving: Callable[[Sequence[tuple[str, Document]]], Iterable[tuple[str, Document]]],
) -> list[Document]:
    """Remove entries of these kinds of periods for which the ledger has nothing: others', or of another time zone.

    One that was read before the events has some of them behind it, if it is right. Others have another `rev` by now.
    Returns the entries that were to go; `leaving` has for them, by their periods, the conditions under which they may.
    """
    made = {(entry["userId"], entry["period"]) for entry in wanted} if present else set()
    stale = [
        (period, entry)
        for (user, period), entry in present.items()
        if (user, period) not in made and "rev" in entry and kind_of(period) in kinds
    ]
    for period, which in leaving(stale) if stale else ():
        _remove(database[layout.home(period)], which)
    return [entry for _, entry in stale]


def _remove(collection: Collection[Any], which: Document) -> None:
    """Remove what is not right, by whoever may; a role for backfills need not have that right, and verify names it."""
    try:
        collection.delete_many(which)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise


def held(entry: Document) -> Document:
    """An entry as it is compared: what is larger than any entry of ours is as good as none, and megabytes less."""
    for name in COMPARED:
        value = entry.get(name)
        if type(value) not in SMALL and not (isinstance(value, str) and len(value) <= AVATAR_LENGTH):
            entry[name] = ""  # which is never right, and no revision
    if COUNTED_EVENTS in entry and type(entry[COUNTED_EVENTS]) is not Int64:
        entry[COUNTED_EVENTS] = ""
    if not isinstance(entry.get("createdAt"), dt.datetime):
        entry.pop("createdAt", None)
    if "moved" in entry:
        moved = entry["moved"]
        score = moved.get("from") if isinstance(moved, Mapping) else None
        entry["moved"] = {"from": score if type(score) in WHOLE else None} if isinstance(moved, Mapping) else ""
    return entry


def period_in(entry: Document) -> str:
    """The period of an entry, also of one that has lost it; its `_id` has it too."""
    period = entry.get("period")
    return period if type(period) is str else str(entry["_id"]).removesuffix(f":{id_text(entry['userId'])}")
