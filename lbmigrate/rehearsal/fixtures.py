"""Exported files as the app's database: a dry run that touches no server of anybody."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import UsageError
from lbmigrate.mongo import fake
from lbmigrate.mongo.client import open_client
from lbmigrate.rehearsal.engine import Engine
from lbmigrate.rules import unwind
from lbmigrate.run.connection import Connection, connection, explained
from lbmigrate.values import extjson


@contextmanager
def loaded(config: Config, fixtures: Path, engine: Engine = Engine.MEMORY) -> Iterator[Connection]:
    """A database filled from files, in memory or on an embedded server of its own, which goes with the block.

    Raises UsageError for files that cannot be read or loaded, and for a filter that no server takes.
    """
    with explained(config), _server(engine) as client:
        extjson.load(fixtures, client[config.database.name], config.collections)
        found = connection(client, config)
        for source in config.sources:
            _try_filter(found, source)
        yield found


@contextmanager
def _server(engine: Engine) -> Iterator[MongoClient[Any]]:
    if engine is Engine.MEMORY:
        with fake.client() as client:
            yield client
        return
    with tempfile.TemporaryDirectory(prefix="lbmigrate-rehearsal-") as home, open_client(f"local:{home}") as client:
        yield client


def _try_filter(found: Connection, source: Source) -> None:
    try:
        list(found.sources[source.collection].aggregate([*unwind.elements(source), {"$limit": 1}]))
    except Exception as error:  # whichever database it is
        hint = f"correct `where` of the source {source.name} in the configuration, then type the same command again"
        raise UsageError(f"{source.name}: its `where` cannot be evaluated: {error}", hint) from error
