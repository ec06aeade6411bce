"""Events that others have put into the ledger since the last backfill: an app, a recorder, whoever imports something.

Most are met again by their documents, which the next pass reads. One whose document no pass reads any more, or that has
none, counts all the same; so the ledger is read backwards too, from its newest event to where the last backfill ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lbmigrate.mongo.concerns import durable, is_fake, lenient
from lbmigrate.records import Checkpoint, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, present_collections
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user

ROW = "newcomers"
MARKS = 20  # events that are remembered: one or the other may be gone
BEYOND = 1_000  # events that are looked at beyond them: two that are written at once may stand in either order
MOST_USERS = 50_000  # in memory
FIELDS = {"userId": 1, "meta.origin": 1}


def reached(context: Context) -> Checkpoint | None:
    """What to remember when everybody who has an event by now is rolled up; None where not everybody is."""
    if context.scope.bounded or context.scope.share < 1:
        return None
    return Checkpoint(ROW, {"after": [event["_id"] for event in islice(_newest_first(context), MARKS)]})


def users(context: Context) -> list[Any] | None:
    """Whom the events of others are about; None is everyone, since they are too many to hold."""
    if context.scope.bounded or context.scope.share < 1:
        return []
    found: dict[Any, None] = {}
    for event in _new(context):
        meta, user = event.get("meta"), event.get("userId")
        if (not isinstance(meta, dict) or meta.get("origin") != "backfill") and names_a_user(user):
            found[plain_id(user)] = None
        if len(found) > MOST_USERS:
            return None
    return list(found)


def _new(context: Context) -> Iterator[Document]:
    """The events that came in after those that are remembered, and some of before."""
    events = _newest_first(context)
    if not _is_in_order(context):
        yield from events
        return
    marks = set(context.state.get(ROW).get("after", ()))
    for event in events:
        yield event
        if event["_id"] in marks:
            break
    yield from islice(events, BEYOND)


def _newest_first(context: Context) -> Iterator[Document]:
    """The ledger as a server stores it, from its end."""
    ledger = lenient(durable(context.target))[EVENTS]
    if is_fake(context.target):
        return reversed(list(ledger.find({}, FIELDS)))
    return iter(ledger.find({}, FIELDS).sort("$natural", -1))


def _is_in_order(context: Context) -> bool:
    """Whether a server stores events as they come; one that is clustered or sharded is read from end to end."""
    if is_fake(context.target):
        return True
    clustered = "clusteredIndex" in present_collections(context.target).get(EVENTS, {})
    return not clustered and not context.target.client.is_mongos
