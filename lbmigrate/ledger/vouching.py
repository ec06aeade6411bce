"""Whether an entry lacks nothing of the ledger but events that were inserted just now.

It stands for so many events, and knows the newest time of them; an index answers how many the ledger has, and when the
newest one was. An entry of many events is held against the ledger only so often that COUNTED are counted each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbmigrate.records import Document
from lbmigrate.rules.newer import counted
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.ids import in_parts, plain_id

COUNTED = 10  # events of a user that an index counts each time, on average


def vouched(context: Context, overall: Mapping[Any, Document], new: Mapping[Any, Sequence[Document]]) -> list[Any]:
    """Those users whose `overall` entries, as they were before, lack nothing of the ledger but the `new` events."""
    plain = [user for user, entry in overall.items() if counted(entry) >= 0]
    due = [user for user in plain if _is_due(overall[user])]
    found: dict[Any, tuple[int, Any]] = {}
    for part in in_parts(due):
        matching = {"userId": part[0] if len(part) == 1 else {"$in": part}}
        grouping = {"_id": "$userId", "events": {"$sum": 1}, "last": {"$max": "$createdAt"}}
        groups = context.target[EVENTS].aggregate([{"$match": matching}, {"$group": grouping}])
        found |= {plain_id(group["_id"]): (group["events"], group["last"]) for group in groups}
    wrong = {user for user in due if found.get(user) != _expected(overall[user], new[user])}
    return [user for user in plain if user not in wrong]


def _is_due(entry: Document) -> bool:
    """Whether it is held against the ledger now: always with few events, with many at every so-manieth revision."""
    seldom = 1 << (counted(entry) // COUNTED).bit_length()  # the same for long, while the revisions go on
    return seldom <= 2 or bool(entry["rev"] % seldom == 0)


def _expected(entry: Document, new: Sequence[Document]) -> tuple[int, Any]:
    """How many events the ledger is to have of a user, and the newest time of them."""
    return counted(entry) + len(new), max(entry["lastEventAt"], *(event["createdAt"] for event in new))
