"""From one order of those who share a score to another (`ranking.order`), while the app reads and records.

It is announced first, and waited for until everybody who writes entries has looked: from then on each entry that is
written says since when its score is what it is. Then come the entries of everyone and the index, then the order is on
record, and boards read by it. Back to the order of users boards change over first (those that are configured so are
there already), then the moments and the index go.
Killed at any instant, the next run goes on where it was. Between earliest and latest there is nothing but the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pymongo.errors import OperationFailure

from lbmigrate import schema
from lbmigrate.backfill import touched
from lbmigrate.ledger import rolling, walk
from lbmigrate.ledger.begin_anew import everyone
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import lenient
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.passes.changed import ORDER
from lbmigrate.records import Document, Piece
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, REACHED, WAYS
from lbmigrate.schema.layout import BY_USER, Layout, homes
from lbmigrate.state import layouts
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user

Build = Callable[[Sequence[str]], Iterator[Piece]]
SUBJECT = "order"
WORDS = {"earliest": "who has reached it first", "latest": "who has reached it last", BY_USER: "the ids of users"}


def pending(context: Context) -> str:
    """What a run would do, in a sentence; empty where entries stand as the configuration says. Only looks."""
    now, aim = layouts.layout(context.state), _wanted(context)
    return "" if now.order == aim and not now.coming else f"order those who share a score by {WORDS[aim]}"


def pieces(context: Context, build: Build) -> Iterator[Piece]:
    """Bring about the configured order; nothing where it is in force. Durable pieces, like those of a step.

    `build` makes what indexes of some orders are missing.
    """
    if not pending(context):
        return
    before, aim = layouts.now(context.state), _wanted(context)
    if context.target[EVENTS].find_one({}, {"_id": 1}) is None:
        pass  # no entry has to say anything else
    elif before.order in WAYS and aim in WAYS:
        layouts.order(context.state, before.order, coming=aim)
    else:
        yield from _announced(context, before, aim)
        yield from _everyone(context, aim)
    if not context.stopping():
        yield from _ordered(context, aim, build)
        yield Piece(SUBJECT, note=f"who shares a score stands by {WORDS[aim]}")


def _wanted(context: Context) -> str:
    return context.config.ranking.order[1]


def _announced(context: Context, before: Layout, aim: str) -> Iterator[Piece]:
    """Boards go by users, and whoever writes entries knows by now whether they say since when they are as they are."""
    if not before.coming or (before.coming in WAYS) != (aim in WAYS):
        yield Piece("entries", unit="users", checkpoint=everyone(context))
    layouts.order(context.state, BY_USER, coming=aim)
    yield Piece(SUBJECT, note=f"{ORDER}: entries are made again; the app goes on reading and recording")
    context.stop.wait(layouts.GRACE)


def _everyone(context: Context, aim: str) -> Iterator[Piece]:
    """The entries of everyone, from where it was stopped; then those that somebody has written who had not looked."""
    yield from touched.roll_up(context, throttle.gate(context))
    left = {} if context.stopping() else _users(context, {REACHED: {"$exists": aim not in WAYS}})
    for users in walk.selections(list(left)):
        retrying(partial(rolling.roll_up, context, users))
        yield Piece("entries", unit="users")


def _users(context: Context, condition: Document) -> dict[Any, None]:
    ours = {"rev": {"$exists": True}, **condition}
    names = homes(context.target, layouts.layout(context.state))
    found = (row["userId"] for name in names for row in lenient(context.target)[name].find(ours, {"userId": 1}))
    return {plain_id(user): None for user in found if names_a_user(user)}


def _ordered(context: Context, aim: str, build: Build) -> Iterator[Piece]:
    """The index of this order, then the order on record, then the other has no index any more."""
    yield from build([aim] if aim in WAYS else [])
    layouts.order(context.state, aim, coming=aim)
    if spare := list(_present(context, [order for order in WAYS if order != aim])):
        context.stop.wait(layouts.GRACE)  # boards that have not looked yet read by it
    for index in spare:
        yield _dropped(context, index)
    layouts.order(context.state, aim)


def _present(context: Context, orders: Sequence[str]) -> Iterator[schema.Index]:
    """The indexes of these orders that are there."""
    for name in schema.with_partitions([ENTRIES], schema.present_collections(context.target)):
        there = [(spec["name"], spec["key"]) for spec in schema.present_indexes(context.target, name)]
        wanted = (index for index in schema.indexes_of(name, orders) if REACHED in dict(index.keys))
        yield from (index for index in wanted if (index.name, index.keys) in there)


def _dropped(context: Context, index: schema.Index) -> Piece:
    try:
        context.target[index.collection].drop_index(index.name)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        what = f"{index.label} is not needed any more, and this database user may not drop it"
        return Piece("indexes", warning=f"{what}; who may: db.{index.collection}.dropIndex({index.name!r})")
    return Piece("indexes", note=f"dropped {index.label}")
