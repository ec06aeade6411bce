"""What the server tells of itself, as far as the database user may ask: cores, shards, room on the disk, oplog."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pymongo.database import Database
from pymongo.errors import InvalidOperation, PyMongoError

from lbmigrate.mongo.shards import is_router
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS_BY_USER, present_indexes

T = TypeVar("T")
KIB = 0.4  # of a document, where the server does not say


@dataclass(frozen=True, slots=True)
class Oplog:
    """What it may hold in bytes, and for how many hours it reaches back now."""

    size: int
    hours: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The server as it is. None is what it does not say."""

    version: str
    cores: int | None
    shards: int
    members: int
    shared: bool
    free: int | None
    oplog: Oplog | None
    primary: bool = True


def surroundings(context: Context) -> Surroundings:
    """Ask the server; what this user may not ask stays None."""
    database = context.target
    hello = database.command("hello")
    router = hello.get("msg") == "isdbgrid"
    shards = told(lambda: int(database.client["config"]["shards"].count_documents({}))) if router else None
    return Surroundings(
        version=str(database.client.server_info()["version"]),
        cores=None if router else told(lambda: int(database.client.admin.command("hostInfo")["system"]["numCores"])),
        shards=shards or 1,
        members=max(1, len(hello.get("hosts", [])) - len(hello.get("arbiters", []))),
        shared=is_here(database),
        free=told(lambda: _free(database)),
        oplog=None if router else told(lambda: _oplog(database)),
        primary=bool(hello.get("isWritablePrimary", True)),
    )


def told(ask: Callable[[], T]) -> T | None:
    """What is asked for; None where the user may not ask it, or the server has no answer."""
    try:
        return ask()
    except (PyMongoError, LookupError, TypeError, ValueError):
        return None


def is_here(database: Database[Any]) -> bool:
    """Whether the server is on this host: then client and server share its cores."""
    try:
        hosts = {host for host, _ in database.client.nodes}
    except InvalidOperation:
        return False
    return bool(hosts) and all(map(_is_loopback, hosts))


def _is_loopback(host: str) -> bool:
    if host.endswith(".sock") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def cores_here() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _free(database: Database[Any]) -> int:
    stats = database.command("dbStats")
    return int(stats["fsTotalSize"] - stats["fsUsedSize"])


def _oplog(database: Database[Any]) -> Oplog:
    oplog = database.client["local"]["oplog.rs"]
    stats = database.client["local"].command("collStats", "oplog.rs")
    first, last = (next(iter(oplog.find({}, {"ts": 1}).sort("$natural", way).limit(1)))["ts"] for way in (1, -1))
    return Oplog(int(stats["maxSize"]), (last.time - first.time) / 3600)


def kib_of(database: Database[Any], collection: str) -> float:
    """The size of a document on average."""
    size = told(lambda: float(database.command("collStats", collection)["avgObjSize"]))
    return KIB if size is None else size / 1024


def indexes_more(context: Context, collection: str) -> int:
    """Indexes of the ledger that an event stands in, beyond those that it always has."""
    usual = {EVENTS_BY_USER.keys, (("_id", 1),)}
    present: list[Document] = present_indexes(context.target, collection)
    hashed = 1 if is_router(context.target) else 0
    return max(0, len([index for index in present if index["key"] not in usual]) - hashed)
