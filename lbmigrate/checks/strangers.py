"""Documents whose users have ids of another type than all others: how many, which, and the query that finds them.

A sample hardly meets five of them among some ten thousand. So the server is asked for them, if a moment suffices.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from bson import json_util
from pymongo.errors import ExecutionTimeout

from lbmigrate.checks.finding import Finding
from lbmigrate.config.model import Source
from lbmigrate.ledger.odd import LOOKING_MS
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.limits import named

SHOWN, AT_MOST = 5, 1_000
TYPES = {"int": ("int", "long", "double", "decimal"), "string": ("string",), "uuid": ("binData",)}
FIX = "correct those documents, then: lbmigrate rejects retry"


def findings(context: Context, kind: str) -> Iterator[Finding]:
    """A line for each source that has such documents, or of which a moment does not tell whether it has.

    `kind` is the type of all others. Where ids are made one type, or are looked up, scoring tells which cannot be.
    """
    there = present_collections(context.sources)
    for source in context.config.sources:
        plain = not (source.unwind or source.user.coerce or source.user.lookup or source.user.strip)
        if plain and source.collection in there:
            yield from _of(context, source, kind)


def _of(context: Context, source: Source, kind: str) -> Iterator[Finding]:
    others = {"$nor": [{source.user.path: None}, *({source.user.path: {"$type": t}} for t in TYPES.get(kind, (kind,)))]}
    asked = {"$and": [source.where, others]} if source.where else others
    query = f"db.{source.collection}.find({hidden(json_util.dumps(asked))})"
    try:
        found = _ids(context, source, asked)
    except ExecutionTimeout:
        fact = f"{source.collection} is too large to look at every user here; all others than {kind} are {query}"
        yield Finding("ok", "user ids", fact)
        return
    if found:
        number = f"{AT_MOST:,} documents or more" if len(found) == AT_MOST else amount(len(found), "document")
        fact = f"{number} of {source.collection} in scope have users of another type than {kind}, and become rejects"
        yield Finding("warning", "user ids", f"{fact}: {', '.join(found[:SHOWN])}; all of them: {query}", FIX)


def _ids(context: Context, source: Source, asked: Document) -> list[str]:
    rows: Any = lenient(context.sources)[source.collection].find(asked, {"_id": 1})
    rows = rows if is_fake(context.sources) else rows.max_time_ms(LOOKING_MS)
    return [named(row["_id"]) for row in islice(rows, AT_MOST)]
