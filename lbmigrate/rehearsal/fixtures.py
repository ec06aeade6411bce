"""Exported files as the app's database: a dry run with no server on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo.database import Database

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import UsageError
from lbmigrate.mongo import fake
from lbmigrate.rules import unwind
from lbmigrate.run.connection import Connection, connection
from lbmigrate.values import extjson


@contextmanager
def loaded(config: Config, fixtures: Path) -> Iterator[Connection]:
    """An in-memory server filled from files: the same steps and the same code, with no server on the machine.

    Raises UsageError for files that cannot be read, and for a filter that means something else in memory.
    """
    with fake.client() as client:
        extjson.load(fixtures, client[config.database.name], config.collections)
        for source in config.sources:
            _try_filter(client[config.database.name], source, fixtures)
        yield connection(client, config)


def _try_filter(database: Database[Any], source: Source, fixtures: Path) -> None:
    hint = f"rehearse it on the embedded server: lbmigrate demo --data {fixtures} --config FILE"
    if '"$expr"' in json_util.dumps(source.where):
        raise UsageError(f"{source.name}: $expr does not mean in memory what it means on a server", hint)
    try:
        list(database[source.collection].aggregate([*unwind.elements(source), {"$limit": 1}]))
    except Exception as error:  # the in-memory database has many ways to say that it cannot
        what = f"{source.name}: the in-memory database cannot evaluate its `where`"
        raise UsageError(f"{what}: {error}", hint) from error
