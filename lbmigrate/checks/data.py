"""What is worth checking before a run: each finding is a fact with its fix. Only looks; never writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymongo.collection import Collection

from lbmigrate import schema
from lbmigrate.board.profiles import known_users, profile_paths, snapshot
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.config.model import Source
from lbmigrate.errors import Refused
from lbmigrate.ledger import sources
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes.read_plan import is_indexed
from lbmigrate.records import Document, amount
from lbmigrate.rules import scoring, unwind
from lbmigrate.run.context import Context
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.ids import coerce_id, id_type
from lbmigrate.values.paths import pluck, projection_of

CHECK_CONFIG = "correct the path or the collection: lbmigrate config show"
STRANGERS = 200  # documents whose users are looked up
SAMPLE = 500  # documents looked at, from either end of a collection


def check_data(context: Context) -> list[Finding]:
    """Everything found about the config, the sources, the users and the schema; the fine lines included."""
    present = schema.present_collections(context.sources)
    told = [each for source in context.config.sources for each in _source(context, source, present)]
    told += _users(context, present)
    told += _one_type(context, told)
    return [*told, *_views(context), *_schema(context)]


def _views(context: Context) -> Iterator[Finding]:
    """What is to be written must be a collection; a source may be a view."""
    present = schema.present_collections(context.target)
    for name in (schema.EVENTS, schema.ENTRIES, schema.REJECTS, context.config.flag.collection):
        if "viewOn" in present.get(name, {}):
            fact = f"{name} is a view of {present[name]['viewOn']}: nothing can be written to it"
            mend = "name another collection under `flag`" if name == context.config.flag.collection else "drop the view"
            yield Finding("refusal", "schema", fact, f"{mend}: lbmigrate config show")


def _schema(context: Context) -> Iterator[Finding]:
    expiring = schema.expiring(context.target)
    for sentence in schema.differences(context.target):
        level: Level = "refusal" if sentence in expiring else "warning"
        yield Finding(level, "schema", sentence, "fix it by hand: lbmigrate changes nothing that it did not make")


def _source(context: Context, source: Source, present: dict[str, Document]) -> Iterator[Finding]:
    if source.collection not in present:
        there = ", ".join(sorted(present)[:8]) or "no collection at all"
        fact = f"collection {source.collection!r} does not exist in {context.sources.name}; there is {there}"
        yield Finding("refusal", source.name, fact, CHECK_CONFIG)
        return
    collection = context.sources[source.collection]
    rows = sample(collection, source)
    if not rows:
        place = f"{source.collection}.{source.unwind}" if source.unwind else source.collection
        fact = f"no {'element' if source.unwind else 'document'} of {place} meets {hidden(str(source.where))}"
        yield Finding("warning", source.name, fact, "check the source's `where`: lbmigrate config show")
        return
    yield from _paths(source, rows)
    yield from _trial(context, source, rows)
    if not is_indexed(collection, source.cursor):
        fact = f"{source.collection}.{source.cursor} has no index: each incremental backfill reads the whole collection"
        yield Finding("warning", source.name, fact, f"db.{source.collection}.createIndex({{{source.cursor!r}: 1}})")


def sample(collection: Collection[Any], source: Source) -> list[Document]:
    """Documents in scope from both ends of a collection; elements, where the source unwinds."""
    projection = projection_of(_mapped(source))
    if source.unwind:
        stages: list[Document] = [{"$limit": 2 * SAMPLE}, *unwind.elements(source)]
        return list(collection.aggregate([*stages, {"$project": projection}]))
    first, last = (collection.find(source.where, projection).sort("_id", way).limit(SAMPLE) for way in (1, -1))
    rows = {repr(row["_id"]): row for row in (*first, *last)}  # a small collection's ends are the same documents
    return list(rows.values())


def _mapped(source: Source) -> tuple[str, ...]:
    """Every path that a source's mapping names."""
    return (*scoring.paths(source), *([source.updated] if source.updated else []))


def _paths(source: Source, rows: list[Document]) -> Iterator[Finding]:
    """How many of the documents looked at have each mapped path, so that a mistyped one shows."""
    columns = pluck(rows, _mapped(source))
    having = {path: sum(value is not None for value in column) for path, column in columns.items() if path != "_id"}
    yield Finding("ok", source.name, f"of {amount(len(rows), 'document')} in scope: {_shares(having, len(rows))}")
    seen = f"none of {amount(len(rows), 'document')} of {source.collection} in scope has"
    vital: set[str] = set()
    for group in ([source.user.path], list(source.at)):
        if not any(having.get(path, len(rows)) for path in group):
            vital |= set(group)
            yield Finding("refusal", source.name, f"{seen} {' or '.join(group)}", CHECK_CONFIG)
    for path in (path for path, count in having.items() if count == 0 and path not in vital):
        yield Finding("warning", source.name, f"{seen} {path}", "correct the path, or leave it if it is yet to come")


def _shares(having: dict[str, int], total: int) -> str:
    return ", ".join(f"{path} {count / total:.0%}" for path, count in having.items())


def _trial(context: Context, source: Source, rows: list[Document]) -> Iterator[Finding]:
    """What scoring makes of the documents looked at: approximate times, and rejects with their first reason."""
    scored = sources.score(context, source, rows)
    approximate = sum("approximate" in event["meta"] for event in scored.events)
    if approximate:
        fact = (
            f"{approximate / len(rows):.0%} of the events would have an approximate time ({' or '.join(source.at[1:])})"
        )
        yield Finding(
            "warning", source.name, fact, "they are marked meta.approximate; nothing can be done about the past"
        )
    if scored.rejects:
        fact = f"{len(scored.rejects) / len(rows):.1%} would be rejected, for example: {scored.rejects[0].reason}"
        yield Finding("warning", source.name, fact, "correct the mapping, or let them go: lbmigrate rejects")


def _one_type(context: Context, told: list[Finding]) -> Iterator[Finding]:
    if any(finding.level == "refusal" for finding in told):
        return
    try:
        kinds = OneUserType(context).kinds
    except Refused as error:
        yield Finding("refusal", "user ids", error.message, error.hint)
    else:
        yield Finding("ok", "user ids", f"of one type: {', '.join(kinds) or 'none seen yet'}")


def _users(context: Context, present: dict[str, Document]) -> Iterator[Finding]:
    users = context.config.users
    if users.collection not in present:
        fact = f"collection {users.collection!r} does not exist: the board would have no names and hide nobody"
        yield Finding("refusal", "users", fact, CHECK_CONFIG)
        return
    paths = (*profile_paths(users), *([users.updated] if users.updated else []))
    rows = list(context.sources[users.collection].find({}, projection_of(paths)).limit(SAMPLE))
    if not rows:
        yield Finding("warning", "users", f"{users.collection} is empty: the board will have no names", CHECK_CONFIG)
        return
    columns = pluck(rows, paths)
    having = {path: sum(value is not None for value in column) for path, column in columns.items()}
    yield Finding("ok", "users", f"of {amount(len(rows), 'user')}: {_shares(having, len(rows))}")
    for path in (path for path, count in having.items() if count == 0):
        fact = f"none of {amount(len(rows), 'user')} has {path}"
        level: Level = "refusal" if path == users.key else "warning"
        yield Finding(level, "users", fact, "correct the path, or leave it if it is yet to come")
    if not is_indexed(context.sources[users.collection], users.key):
        fact = f"{users.collection}.{users.key} has no index: every roll-up reads the whole collection"
        yield Finding("warning", "users", fact, f"db.{users.collection}.createIndex({{{users.key!r}: 1}})")
    if users.updated and having[users.updated] and not is_indexed(context.sources[users.collection], users.updated):
        fact = f"{users.collection}.{users.updated} has no index: each incremental backfill looks at every user"
        yield Finding("warning", "users", fact, f"db.{users.collection}.createIndex({{{users.updated!r}: 1}})")
    nameless = sum(snapshot(users, row)["displayNameSnapshot"] is None for row in rows)
    if nameless:
        names = " or ".join(users.display_name) or "a display name: users.display_name is empty"
        fact = f"{nameless} of {amount(len(rows), 'user')} looked at have no {names}"
        yield Finding("warning", "users", fact, "they are shown without a name; add a path to users.display_name")
    yield from _strangers(context)


def _strangers(context: Context) -> Iterator[Finding]:
    """Whether those who did something are among the users at all: a wrong key would hide nobody and name nobody."""
    for source in context.config.sources:
        rows = sample(context.sources[source.collection], source)[:STRANGERS]
        ids = [coerce_id(value, source.user.coerce) for value in pluck(rows, [source.user.path])[source.user.path]]
        known = known_users(context.sources, context.config, [user for user in dict.fromkeys(ids) if id_type(user)])
        if ids and not known:
            key = f"{context.config.users.collection}.{context.config.users.key}"
            yield Finding("refusal", "users", f"no user of {source.collection} is found by {key}", CHECK_CONFIG)
