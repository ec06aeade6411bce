"""The verbs about documents that could not be scored: what is wrong with them, one of them, and trying them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lbmigrate.backfill import recheck
from lbmigrate.checks.finding import refuse
from lbmigrate.checks.server import check_everything
from lbmigrate.config.model import Config, Source
from lbmigrate.errors import UsageError
from lbmigrate.ledger import rejects as kept
from lbmigrate.ledger.reject_groups import BY_REASON, Group, by_reason, grouped, is_meant, query_of
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document, Piece, Work
from lbmigrate.rules.mapped import paths
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context
from lbmigrate.schema import REJECTS
from lbmigrate.values.ids import parse_id
from lbmigrate.values.limits import short
from lbmigrate.values.paths import pluck, projection_of

REJECT_BYTES = 2_000  # of a field of a reject; a row of ours has no more
WORK = Work("rejects")


def rejects(where: Config | Connection, n: int = 20, *, reason: str = "") -> list[Document]:
    """The newest `n` source documents that could not be scored, each with its reason; those for one `reason` alone."""
    with opened(where) as connection:
        return retrying(lambda: list(_newest(connection, n, reason)))


def _newest(connection: Connection, n: int, reason: str) -> Iterator[Document]:
    left = n
    for row in lenient(connection.target)[REJECTS].find({}).sort("createdAt", -1):
        if left == 0:
            return
        if is_meant(str(row.get("reason", "")), reason):
            left -= 1
            yield {name: short(value, REJECT_BYTES) for name, value in row.items()}


def reject_groups(where: Config | Connection) -> list[Group]:
    """What is wrong with documents that could not be scored: each reason with how many and one example.

    Of users whose ids are of another type also what finds them.
    """
    with opened(where) as connection:
        rows = lenient(connection.target)[REJECTS]
        found = retrying(lambda: list(by_reason(rows.aggregate(BY_REASON, allowDiskUse=True))))
        return [
            replace(group, example=short(group.example, REJECT_BYTES), query=query_of(connection.config, group))
            for group in grouped(found)
        ]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One document that could not be scored: its row, and what the fields that the source names hold now.

    `fields` is None where the document is gone, or stands in an array.
    """

    row: Document
    fields: dict[str, Any] | None


def show_reject(where: Config | Connection, name: str) -> list[Rejected]:
    """The rejects that a document's id names, or a row's (`tasks:…`). Raises UsageError where there is none."""
    with opened(where) as connection:
        rows = lenient(connection.target)[REJECTS]
        asked = {"$or": [{"_id": name}, {"sourceId": {"$in": parse_id(name)}}]}
        found = retrying(lambda: list(rows.find(asked).limit(20)))
        if not found:
            raise UsageError(f"no document that could not be scored is called {name!r}", "lbmigrate rejects")
        return [Rejected(row, _fields(connection, row)) for row in found]


def _fields(connection: Connection, row: Document) -> dict[str, Any] | None:
    source = next((each for each in connection.config.sources if each.name == row.get("source")), None)
    if source is None or source.unwind or not kept.can_be_asked_for(row):
        return None
    return retrying(partial(_read, connection, source, row["sourceId"]))


def _read(connection: Connection, source: Source, name: Any) -> dict[str, Any] | None:
    wanted = paths(source)
    document = lenient(connection.sources)[source.collection].find_one({"_id": name}, projection_of(wanted))
    if document is None:
        return None
    return {path: short(values[0], REJECT_BYTES) for path, values in pluck([document], wanted).items()}


@dataclass(frozen=True, slots=True)
class Retried:
    """How many rejects were tried again, and how many of these are left."""

    tried: int
    left: int


def retry_rejects(where: Config | Connection, *, reason: str = "", terms: Terms = Terms()) -> Retried:
    """Score documents that could not be scored once more, those for one `reason` alone; what is scored is on the board.

    Raises UsageError where no reject has such a reason, and otherwise as `backfill` does.
    """
    with opened(where) as connection:
        tried = _count(connection, reason)
        if reason and not tried:
            raise UsageError(f"no document was rejected for {reason!r}", "lbmigrate rejects")
        refuse(check_everything(connection.context(), "backfill"))
        with runner.started(connection, "rejects retry", terms) as driver:
            driver.carry_out(WORK, partial(_pieces, driver.context, reason))
        return Retried(tried, _count(connection, reason))


def _pieces(context: Context, reason: str) -> Iterator[Piece]:
    yield from recheck.retry(context, partial(is_meant, wanted=reason))


def _count(connection: Connection, reason: str) -> int:
    rows = lenient(connection.target)[REJECTS].aggregate(BY_REASON, allowDiskUse=True)
    return sum(row["documents"] for row in by_reason(rows) if is_meant(str(row["reason"]), reason))
