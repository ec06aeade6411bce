"""Kinds of collections: what may be a source and what may not, and what must be one like any other to be written to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate import schema
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.checks.looking import begun
from lbmigrate.config.model import Source
from lbmigrate.ledger import sharding
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.state import COLLECTION
from lbmigrate.values.limits import named

BACKFILL = "schedule lbmigrate backfill for it, as jobs/ shows"
BY_ID: tuple[Document, ...] = ({"_id": 1}, {"_id": "hashed"})  # keys by which a cluster keeps every `_id` unique


# --- sources -------------------------------------------------------------------------------------------------------


def of_source(
    context: Context, source: Source, present: dict[str, Document], rows: list[Document]
) -> Iterator[Finding]:
    """What its kind of collection means for a source; `rows` are documents of it."""
    name, options = source.collection, present[source.collection]
    beneath = _beneath(name, present)
    if "timeseries" in present.get(beneath, {}):
        what = "a time-series collection" if beneath == name else f"a view of {beneath}, a time-series collection"
        fact = f"{name} is {what}: nothing makes the _id of its documents unique, so an action could count twice"
        fix = f"copy what is scored into an ordinary collection ($merge), and name that instead of {name}"
        yield Finding("refusal", source.name, fact, f"{fix}: lbmigrate config show")
        return
    if "viewOn" in options:
        fact = f"{name} is a view of {options['viewOn']}: it has no change streams, so tail does not follow it"
        yield Finding("warning", source.name, fact, BACKFILL)
        yield from _nameless(context, source, rows)
        yield from _repeated(context, source, options["viewOn"], rows)
    if reason := _loses(context.sources, beneath, present.get(beneath, {})):
        fact = f"{beneath} {reason}: tail and lbmigrate reconcile take back what a document was worth that is gone"
        fix = "live: {deleted: keep} in the configuration, and no lbmigrate reconcile; or keep the documents"
        yield Finding("warning", source.name, fact, fix)


def _beneath(name: str, present: dict[str, Document]) -> str:
    """The collection that a view shows in the end; of others the name itself."""
    while "viewOn" in present.get(name, {}):
        name = present[name]["viewOn"]
    return name


def _nameless(context: Context, source: Source, rows: list[Document]) -> Iterator[Finding]:
    """Whether a view shows documents without their `_id`: nothing tells one action from another then."""
    missing = sum("_id" not in row for row in rows)
    if missing:
        some = f"{missing:,} of {amount(len(rows), 'document')} of {source.collection}"
        fact = f"{some} {'has' if missing == 1 else 'have'} no _id, which makes an action count once"
        level: Level = "refusal" if missing == len(rows) else "warning"
        fix = "leave _id in the view's $project"
        yield Finding(level, source.name, fact, f"{fix}, or name another collection: lbmigrate config show")


def _repeated(context: Context, source: Source, home: str, rows: list[Document]) -> Iterator[Finding]:
    """Whether a view shows several documents with one `_id`, as after an $unwind: they would be one action."""
    if source.unwind:
        return
    counted = Counter(named(row["_id"]) for row in rows if row.get("_id") is not None)
    name, times = next(iter(counted.most_common(1)), ("", 0))
    if times > 1:
        fact = f"{source.collection} has {amount(times, 'document')} with the _id {name}: only one of them would count"
        fix = f"name {home} as the collection, and the array as `unwind`; or give each an _id of its own in the view"
        level: Level = "warning" if begun(context) else "refusal"
        yield Finding(level, source.name, fact, f"{fix}: lbmigrate config show")


def _loses(database: Database[Any], name: str, options: Document) -> str:
    """Why documents leave a collection by themselves; empty where they do not."""
    if options.get("capped"):
        return "is capped, so that it loses its oldest documents when it is full"
    if "expireAfterSeconds" in options:
        return "loses its documents after a time (expireAfterSeconds)"
    if "viewOn" in options or is_fake(database):
        return ""
    ttl = [spec["name"] for spec in _indexes(database, name) if "expireAfterSeconds" in spec]
    return f"has a TTL index ({ttl[0]}), which removes documents" if ttl else ""


def _indexes(database: Database[Any], name: str) -> list[Document]:
    """The indexes of a collection; none where this user may not list them, as beneath a view and in the state."""
    try:
        return schema.present_indexes(database, name)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return []


# --- what is written to ----------------------------------------------------------------------------------------------


def of_targets(context: Context) -> Iterator[Finding]:
    """What forbids to write to a collection as lbmigrate does: events once each, none of which vanishes."""
    flag, home = context.config.flag.collection, context.state.rows.database
    for database, names in ((context.target, (schema.EVENTS, schema.ENTRIES, schema.REJECTS)), (home, (COLLECTION,))):
        present = schema.present_collections(database)
        for name in schema.with_partitions(names, present if database is context.target else ()):
            for reason, fix in _unfit(database, name, present.get(name, {})):
                yield Finding("refusal", "schema", f"{name} {reason}", fix)
            for index in _refusing(database, name):
                fact = f"{name}.{index} is a unique index that lbmigrate did not make: it refuses what is no duplicate"
                yield Finding("refusal", "schema", fact, f"db.{name}.dropIndex({index!r})")
    for reason, _ in _unfit(context.target, flag, schema.present_collections(context.target, flag).get(flag, {})):
        if "collation" not in reason:  # whose flags are found by their ids all the same
            fix = "name another collection under `flag`: lbmigrate config show"
            yield Finding("refusal", "schema", f"{flag} {reason}", fix)


def _unfit(database: Database[Any], name: str, options: Document) -> Iterator[tuple[str, str]]:
    """Why a collection is none to write to, and what to do about it."""
    away = f"db.{name}.renameCollection({name + '_before'!r}), and lbmigrate makes one that is"
    if "viewOn" in options:
        yield f"is a view of {options['viewOn']}: nothing can be written to it", f"drop the view: db.{name}.drop()"
    elif "timeseries" in options:
        yield "is a time-series collection: an event could be in it twice", f"drop it: db.{name}.drop()"
    elif options.get("capped"):
        yield "is capped: what was written first would vanish when it is full", away
    elif "expireAfterSeconds" in options:
        yield "has expireAfterSeconds: what is written would vanish", away
    elif "collation" in options:
        yield f"has a collation ({options['collation'].get('locale')}): ids that differ would be one to it", away
    elif key := _sharded_by(database, name):
        fact = f"is sharded by {key}: two shards could each have an event with the same _id"
        yield fact, f"sh.reshardCollection({f'{database.name}.{name}'!r}, {{userId: 'hashed'}})"


def _refusing(database: Database[Any], name: str) -> Iterator[str]:
    """The unique indexes by which a collection of ours refuses what is no duplicate."""
    for spec in _indexes(database, name):
        fields = {field for field, _ in spec["key"]}
        alone = "_id" in fields or (schema.base_of(name) == schema.ENTRIES and {"userId", "period"} <= fields)
        if spec.get("unique") and not alone:  # of one entry for a user and period there is but one anyway
            yield spec["name"]


def _sharded_by(database: Database[Any], name: str) -> Document:
    """The key of a sharded collection, if not `_id`; empty for all others, and where it may not be asked."""
    if is_fake(database):
        return {}
    try:
        row = database.client["config"]["collections"].find_one({"_id": f"{database.name}.{name}"}, {"key": 1}) or {}
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return {}
    key: Document = row.get("key", {})
    of_users = schema.base_of(name) in (schema.EVENTS, schema.ENTRIES)
    return {} if key in BY_ID or (of_users and key == sharding.KEY) else key
