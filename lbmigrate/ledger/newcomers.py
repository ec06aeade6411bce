"""Events that others have put into the ledger since the last backfill: an app, a recorder, whoever imports something.

Most are met again by their documents, which the next pass reads. One whose document no pass reads any more, or that has
none, counts all the same; so the ledger is read backwards too, from its newest event to where the last backfill ended.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import chain, islice, takewhile
from typing import Any

from pymongo.database import Database

from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.mongo.shards import is_router
from lbmigrate.records import LONGEST_ID, Checkpoint, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, present_collections
from lbmigrate.values.ids import id_type, plain_id, portions, room
from lbmigrate.values.limits import names_a_user

ROW = "newcomers"
MARKS = 20  # events that are remembered: one or the other may be gone
BEYOND = 1_000  # events that are looked at beyond them: two that are written at once may stand in either order
MOST_USERS = 50_000  # in memory
MOST_IDS = 100_000
AT_ONCE = 200  # events: a server sends megabytes of them where it is not told how many are wanted
BATCHES = 4  # of them where it is known how many there are of our own
FIELDS = {"userId": 1, "meta.origin": 1}


def reached(context: Context) -> Checkpoint | None:
    """What to remember when everybody who has an event by now is rolled up; None where not everybody is."""
    if context.scope.bounded or context.scope.share < 1:
        return None
    newest = (event["_id"] for event in islice(_newest_first(context, MARKS), MARKS))
    return Checkpoint(ROW, {"after": [name for name in newest if type(name) is str and len(name) <= LONGEST_ID]})


def users(context: Context) -> list[Any] | None:
    """Whom the events of others are about; None is everyone, since they are too many to hold.

    Who is named by an id of another type than all others is told by a verification, and is nobody on the board.
    """
    if context.scope.bounded or context.scope.share < 1:
        return []
    found: dict[Any, None] = {}
    ours = context.additions.names() if context.additions else frozenset[str]()  # whom these are about is known
    new = _new(context, (len(ours) + BEYOND) // BATCHES + MARKS if ours else AT_ONCE)
    of_others = (event for event in new if event["_id"] not in ours and names_a_user(event.get("userId")))
    first = list(islice(of_others, 1))
    kind = kind_of_users(context) if first else None  # mostly there are none
    for event in chain(first, of_others):
        if kind in (None, id_type(event["userId"])):
            found[plain_id(event["userId"])] = None
        if len(found) > MOST_USERS:
            return None
    return list(found)


def ids(context: Context, users: Container[Any]) -> list[str]:
    """The ids of those that no backfill has put in and that are about one of these users, the newest first.

    As many as one question can name.
    """
    of_others = (event for event in _new(context) if not _is_of_a_backfill(event))
    found = (e["_id"] for e in of_others if names_a_user(e.get("userId")) and plain_id(e["userId"]) in users)
    return next(portions((name for name in found if type(name) is str), room, MOST_IDS), [])


def _new(context: Context, at_once: int = AT_ONCE) -> Iterator[Document]:
    """The events that came in after those that are remembered, and of some before what no backfill has inserted."""
    events = _newest_first(context, at_once)
    marks = set(context.state.get(ROW).get("after", ())) if is_in_order(context.target, EVENTS) else set()
    if marks:
        yield from takewhile(lambda event: event["_id"] not in marks, events)
        events = islice(events, BEYOND)
    yield from (event for event in events if not _is_of_a_backfill(event))


def _is_of_a_backfill(event: Document) -> bool:
    meta = event.get("meta")
    return isinstance(meta, dict) and meta.get("origin") == "backfill"


def _newest_first(context: Context, at_once: int) -> Iterator[Document]:
    """The ledger as a server stores it, from its end."""
    ledger = lenient(context.target)[EVENTS]
    if is_fake(context.target):
        return reversed(list(ledger.find({}, FIELDS)))
    return iter(ledger.find({}, FIELDS).sort("$natural", -1).batch_size(at_once))


def is_in_order(database: Database[Any], name: str, present: dict[str, Document] | None = None) -> bool:
    """Whether a server stores the documents of a collection as they come; it does not if that is clustered or sharded.

    `present` is what `present_collections` has just said, where that is known.
    """
    if is_fake(database):
        return True
    options = (present_collections(database, name) if present is None else present).get(name, {})
    return "clusteredIndex" not in options and not is_router(database)
