"""From a configuration to the surroundings of a run: connect, name the databases, and find the state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure, PyMongoError

from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo import fake, faults, majority
from lbmigrate.mongo.client import open_client, retrying, server_time
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.write_guard import WriteWatch
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, present_collections
from lbmigrate.state import BEGINNING, COLLECTION, LOCK, Holder, Lease, State
from lbmigrate.state.conditions import of


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection and the databases on it that a configuration names."""

    client: MongoClient[Any]
    config: Config
    sources: Database[Any]
    target: Database[Any]
    state: State

    def context(self, **chosen: Any) -> Context:
        """The surroundings of one run; `chosen` are further fields of Context."""
        usual = {"config": self.config, "sources": self.sources, "target": self.target, "state": self.state}
        return Context(**{**usual, **chosen})

    def lease(self, command: str, ttl: float = 60.0, patience: float = 0.0, row: str = LOCK, run: str = "") -> Lease:
        """The right for `run` to work here, for `ttl` seconds at a time, waited for at most `patience` seconds."""
        clock = partial(server_time, self.state.rows.database)
        return Lease(self.state, Holder.here(command), clock, ttl, patience, row=row, run=run)

    def is_untouched(self) -> bool:
        """Whether the migration has left nothing here: no state, no collection of ours."""
        places = (self.target, self.state.rows.database)
        homes = {name for place in places for name in retrying(partial(present_collections, place))}
        return not homes & {COLLECTION, EVENTS, ENTRIES}

    def refuse_untouched(self, error: type[LbmigrateError] = UsageError) -> None:
        """Raise an error where the migration has left nothing here: the name may be wrong. Its class is a contract."""
        if self.is_untouched():
            raise error(f"there is no leaderboard in {self.target.name} yet", hint="lbmigrate run")

    def check_majority(self) -> None:
        """Raise LbmigrateError where one of the collections cannot be read, since no majority has it."""
        sources = [self.config.users.collection, *(source.collection for source in self.config.sources)]
        majority.check(self.state.rows.database, [COLLECTION])
        majority.check(self.target, dict.fromkeys([EVENTS, ENTRIES, *sources]))


@contextmanager
def connect(config: Config, at_once: bool = False) -> Iterator[Connection]:
    """Open the server that the configuration names. Raises what `faults.explain` says when there is none.

    Unless something is to be done `at_once`, also where what is there could not be read for want of a majority.
    """
    with open_client(config.database.uri) as client:
        found = connection(client, config)
        if not at_once:
            found.check_majority()
        yield found


@contextmanager
def opened(where: Config | Connection, at_once: bool = False) -> Iterator[Connection]:
    """A connection to what a configuration names, or the one that is open already.

    Within the block, errors of the driver become what they mean to an operator.
    """
    config = where.config if isinstance(where, Connection) else where
    there = nullcontext(where) if isinstance(where, Connection) else connect(where, at_once)
    with explained(config), there as found:
        try:
            yield found
        except ExecutionTimeout:
            found.check_majority()  # what a read has waited for
            raise


@contextmanager
def explained(config: Config) -> Iterator[None]:
    """Within the block, errors of the driver become what they mean to an operator."""
    try:
        yield
    except PyMongoError as error:
        raise faults.explain(error, config.database.uri) from error


@contextmanager
def shadow(config: Config) -> Iterator[tuple[Connection, Database[Any], WriteWatch]]:
    """Real sources with everything else in memory, the database that it shadows, and a watch on writes to it.

    Who has left and where the board begins is known there too, as far as the state may be read: a rehearsal shows
    nobody and nothing that is not to be shown.
    """
    watch = WriteWatch()
    with open_client(config.database.uri, watch) as client, fake.client() as memory:
        real, target = durable(client[config.database.name]), memory[config.database.name]
        if rows := _left_out(client[config.state.database or config.database.name][COLLECTION]):
            State(target).rows.insert_many(rows)
        yield Connection(client, config, real, target, State(target)), real, watch


def _left_out(state: Collection[Any]) -> list[Document]:
    try:
        found = retrying(lambda: list(state.find({"$or": [of("forgotten"), {"_id": BEGINNING}]})))
        return [{**row, "fence": 0} for row in found]
    except OperationFailure as error:
        if error.code != faults.UNAUTHORIZED:
            raise
        return []


def connection(client: MongoClient[Any], config: Config) -> Connection:
    """The databases that a configuration names, on a client that is open."""
    database = durable(client[config.database.name])
    return Connection(client, config, database, database, State(client[config.state.database or database.name]))
