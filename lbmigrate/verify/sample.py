"""Whom a verification looks at: the first of every period, and a seeded sample."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.records import Document
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS
from lbmigrate.schema.layout import entries_of, homes, own_periods
from lbmigrate.state import layouts
from lbmigrate.values.ids import id_type, plain_id
from lbmigrate.values.limits import names_a_user


def choose(context: Context, looking: VerifyOptions) -> list[Any]:
    """The users to compare: the first of every period, and a seeded sample drawn from the ledger and the entries."""
    known = dict.fromkeys(_users(context.target[EVENTS], COUNTED))
    for name in homes(context.target, layouts.layout(context.state)):
        known |= dict.fromkeys(_users(context.target[name], {"rev": {"$exists": True}}))
    kind = kind_of_users(context)
    known = {user: None for user in known if kind is None or id_type(user) == kind}  # strangers are named beside
    if looking.full:
        return list(known)
    first = dict.fromkeys(user for period in _periods(context) for user in _leaders(context, period, looking.top))
    sample = random.Random(looking.seed).sample(list(known), min(looking.sample, len(known)))
    return [user for user in first | dict.fromkeys(sample) if kind is None or id_type(user) == kind]


def _users(collection: Any, condition: Document) -> Iterator[Any]:
    """Every user of a collection once, in a fixed order."""
    grouped = [{"$match": condition}, {"$group": {"_id": "$userId"}}, {"$sort": {"_id": 1}}]
    return (plain_id(row["_id"]) for row in collection.aggregate(grouped) if names_a_user(row["_id"]))


def _periods(context: Context) -> Iterator[str]:
    """Every period that has entries, by hops along the index."""
    layout, after = layouts.layout(context.state), ""
    yield from own_periods(context.target, layout)
    while True:
        row = context.target[ENTRIES].find_one({"period": {"$gt": after}}, {"period": 1}, sort=[("period", 1)])
        if row is None:
            return
        after = row["period"]
        if not layout.has_own(after):
            yield after


def _leaders(context: Context, period: str, top: int) -> Iterator[Any]:
    home = entries_of(context.target, layouts.layout(context.state), period)
    rows = home.find({"period": period}, {"userId": 1}).sort([("score", -1), ("userId", -1)])
    return (row["userId"] for row in rows.limit(top) if names_a_user(row["userId"])) if top else iter(())
