"""From a configuration to the surroundings of a run: connect, name the databases, and find the state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo import MongoClient
from pymongo.database import Database

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import UsageError
from lbmigrate.mongo import fake
from lbmigrate.mongo.client import durable, open_client, server_time
from lbmigrate.mongo.write_guard import WriteWatch
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, present_collections
from lbmigrate.state import COLLECTION, LOCK, Holder, Lease, State
from lbmigrate.values import extjson


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection and the databases on it that a configuration names."""

    client: MongoClient[Any]
    config: Config
    sources: Database[Any]
    target: Database[Any]
    state: State

    def context(self, **chosen: Any) -> Context:
        """The surroundings of one run; `chosen` are further fields of Context."""
        return Context(self.config, self.sources, self.target, self.state, **chosen)

    def lease(self, command: str, ttl: float = 60.0, patience: float = 0.0, row: str = LOCK) -> Lease:
        """The right to run here, for `ttl` seconds at a time, waited for at most `patience` seconds."""
        clock = partial(server_time, self.state.rows.database)
        return Lease(self.state, Holder.here(command), clock, ttl, patience, row=row)

    def is_virgin(self) -> bool:
        """Whether the migration has left nothing here: no state, no collection of ours."""
        homes = {**present_collections(self.target), **present_collections(self.state.rows.database)}
        return not homes.keys() & {COLLECTION, EVENTS, ENTRIES}


@contextmanager
def connect(config: Config) -> Iterator[Session]:
    """Open the server that the configuration names. Raises what `faults.explain` says when there is none."""
    with open_client(config.database.uri) as client:
        yield _session(client, config)


@contextmanager
def shadow(config: Config) -> Iterator[tuple[Session, Database[Any], WriteWatch]]:
    """Real sources with everything else in memory, the database that it shadows, and a watch on writes to it."""
    watch = WriteWatch()
    with open_client(config.database.uri, watch) as client, fake.client() as memory:
        real, target = client[config.database.name], memory[config.database.name]
        yield Session(client, config, real, target, State(target)), real, watch


@contextmanager
def rehearse(config: Config, fixtures: Path) -> Iterator[Session]:
    """An in-memory server filled from files: the same steps and the same code, with no server on the machine.

    Raises UsageError for files that cannot be read, and for a filter that means something else in memory.
    """
    with fake.client() as client:
        extjson.load(fixtures, client[config.database.name], config.collections)
        for source in config.sources:
            _try_filter(client[config.database.name], source, fixtures)
        yield _session(client, config)


def _try_filter(database: Database[Any], source: Source, fixtures: Path) -> None:
    hint = f"rehearse it on the embedded server: lbmigrate demo --data {fixtures} --config FILE"
    if '"$expr"' in json_util.dumps(source.where):
        raise UsageError(f"{source.name}: $expr does not mean in memory what it means on a server", hint)
    unwinding: list[Document] = [{"$unwind": f"${source.unwind}"}] if source.unwind else []
    try:
        list(database[source.collection].aggregate([*unwinding, {"$match": source.where}, {"$limit": 1}]))
    except Exception as error:  # the in-memory database has many ways to say that it cannot
        what = f"{source.name}: the in-memory database cannot evaluate {source.where}"
        raise UsageError(f"{what}: {error}", hint) from error


def _session(client: MongoClient[Any], config: Config) -> Session:
    database = client[config.database.name]
    home = client[config.state.database or config.database.name]
    return Session(client, config, database, database, State(durable(home)))
