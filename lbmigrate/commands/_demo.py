"""The demo: the whole migration on a history that is made up or given, ending with the board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lbmigrate import demodata
from lbmigrate.board.board import Board
from lbmigrate.board.place import Place
from lbmigrate.checks.data import check_data
from lbmigrate.checks.finding import refuse
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration import steps as migration
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo import fake
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.run.connection import Connection, connection, explained, opened
from lbmigrate.run.context import utc_now
from lbmigrate.values import extjson

AT_ONCE = 10_000  # documents
DAY = 86_400.0  # seconds: nobody else can reach an in-memory database


@dataclass(frozen=True, slots=True)
class Demo:
    """The top of the board, and what the migration came to: counts, sums and digests."""

    places: list[Place]
    summary: Document


def load_history(where: Config | Connection, *, data: Path | None = None, **sizes: int) -> dict[str, int]:
    """Fill the app's collections from `*.ndjson[.gz]` in `data`, or with so many made-up `users`, `tasks`, `sessions`.

    How many documents each collection got. Never for a database with data of its own.
    """
    with opened(where) as connection:
        if data is not None:
            return extjson.load(data, connection.sources, connection.config.collections)
        counts = {}
        for name, documents in demodata.generate(**sizes, end=utc_now().replace(microsecond=0)).items():
            counts[name] = 0
            while some := list(islice(documents, AT_ONCE)):
                counts[name] += len(connection.sources[name].insert_many(some).inserted_ids)
    return counts


@contextmanager
def in_memory(config: Config) -> Iterator[Connection]:
    """A stage that needs no server. Raises LbmigrateError where the library behind it is not installed."""
    with explained(config), fake.client() as client:
        yield connection(client, config)


def demo(where: Config | Connection, *, terms: Terms = Terms()) -> Demo:
    """Apply all steps to a history that is there, without a backup: a demo has nothing to lose."""
    with opened(where) as connection:
        if is_fake(connection.target):
            terms = replace(terms, lock_ttl=DAY, workers=1)
        refuse(check_data(connection.context()))
        with runner.started(connection, "demo", terms, bears=None) as driver:
            driver.apply(migration.STEPS)
        return Demo(Board(connection.target, connection.config).top("global", 10), summary(connection.target))
