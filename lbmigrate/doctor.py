"""What is worth checking before a run: each finding is a fact with its mend. Only looks; never writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pymongo.collection import Collection

from lbmigrate import fields, people, schema, scoring
from lbmigrate.chunks import is_indexed
from lbmigrate.config import Source
from lbmigrate.context import Context
from lbmigrate.errors import Refused
from lbmigrate.models import Document

Level = Literal["ok", "warning", "refusal"]
SAMPLE = 500  # documents looked at, from either end of a collection


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up: how bad, about what, the fact, and what to do about it."""

    level: Level
    subject: str
    fact: str
    mend: str = ""


def findings(context: Context) -> list[Finding]:
    """Everything found, sources first."""
    present = schema.present_collections(context.sources)
    told = [each for source in context.config.sources for each in _source(context, source, present)]
    told += _users(context, present)
    told += [Finding("warning", "schema", sentence) for sentence in schema.differences(context.target)]
    return told


def refuse(context: Context) -> None:
    """Raise Refused for the first finding that forbids a run."""
    for finding in findings(context):
        if finding.level == "refusal":
            raise Refused(f"{finding.subject}: {finding.fact}", hint=finding.mend)


def _source(context: Context, source: Source, present: dict[str, Document]) -> Iterator[Finding]:
    if source.collection not in present:
        there = ", ".join(sorted(present)[:8]) or "no collection at all"
        fact = f"collection {source.collection!r} does not exist in {context.sources.name}; there is {there}"
        yield Finding(
            "refusal", source.name, fact, "check database.name and sources[].collection: lbmigrate config show"
        )
        return
    collection = context.sources[source.collection]
    rows = sample(collection, source)
    if not rows:
        fact = f"no document of {source.collection} meets {source.where}"
        yield Finding("warning", source.name, fact, "check the source's `where`: lbmigrate config show")
        return
    yield from _paths(source, rows)
    if not is_indexed(collection, source.cursor):
        fact = f"{source.collection}.{source.cursor} has no index: each incremental backfill reads the whole collection"
        yield Finding("warning", source.name, fact, f"db.{source.collection}.createIndex({{{source.cursor!r}: 1}})")


def sample(collection: Collection[Any], source: Source) -> list[Document]:
    """Documents in scope from both ends of a collection; elements, where the source unwinds."""
    projection = fields.projection(scoring.paths(source))
    if source.unwind:
        stages: list[Document] = [{"$limit": 2 * SAMPLE}, {"$unwind": f"${source.unwind}"}]
        return list(collection.aggregate([*stages, {"$match": source.where}, {"$project": projection}]))
    found = [collection.find(source.where, projection).sort("_id", way).limit(SAMPLE) for way in (1, -1)]
    return [row for cursor in found for row in cursor]


def _paths(source: Source, rows: list[Document]) -> Iterator[Finding]:
    columns = fields.pluck(rows, scoring.paths(source))
    absent = [path for path, column in columns.items() if all(value is None for value in column)]
    seen = f"none of {len(rows)} documents of {source.collection} in scope has"
    needed = [[source.user.path], list(source.at)]
    for group in (group for group in needed if all(path in absent for path in group)):
        words = " or ".join(group)
        yield Finding("refusal", source.name, f"{seen} {words}", "correct the path: lbmigrate config show")
    vital = {path for group in needed if all(path in absent for path in group) for path in group}
    for path in (path for path in absent if path not in vital):
        yield Finding("warning", source.name, f"{seen} {path}", "correct the path, or leave it if it is yet to come")


def _users(context: Context, present: dict[str, Document]) -> Iterator[Finding]:
    users = context.config.users
    if users.collection not in present:
        fact = f"collection {users.collection!r} does not exist: the board would have no names and hide nobody"
        yield Finding("refusal", "users", fact, "check users.collection: lbmigrate config show")
        return
    rows = list(context.sources[users.collection].find({}, fields.projection(people.paths(users))).limit(SAMPLE))
    nameless = sum(people.snapshot(users, row)["displayNameSnapshot"] is None for row in rows)
    if nameless and users.display_name:
        fact = f"{nameless} of {len(rows)} users looked at have no {' or '.join(users.display_name)}"
        yield Finding("warning", "users", fact, "they are shown without a name; add a path to users.display_name")
