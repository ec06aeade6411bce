"""The sources' change stream: opened from a token, or from now on; and what a batch of its changes comes to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import bson
from pymongo.change_stream import ChangeStream
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.ledger.sources import CODECS
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import durable, is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.values.limits import is_lost

POLL_MS = 100  # for which the server waits for a change before it says that there is none
NEWS = ("insert", "update", "replace")
DELETE = "delete"
ENDS = ("dropDatabase", "invalidate")

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
HISTORY_LOST = {260, 280, 286}  # the token is not known, or not any more
TOO_LARGE = {10334}  # a change that has more than 16 MB, since the id of its document stands in it several times
NO_STREAMS = 40573

Stream = ChangeStream[Document]


class Ended(LbmigrateError):
    """The database was dropped, and a stream does not go past that."""


@dataclass(slots=True)
class Batch:
    """What has changed: the ids of documents by collection, each once, and what there is to say of the rest.

    `gone` are the ids of those that were deleted. `replaced` are collections whose whole content came by a rename;
    `newest` is the server's time of the last change, `held` how many bytes the ids have.
    """

    changed: dict[str, dict[bytes, Any]] = field(default_factory=dict)
    gone: dict[str, dict[bytes, Any]] = field(default_factory=dict)
    deletes: int = 0
    replaced: list[str] = field(default_factory=list)
    newest: dt.datetime | None = None
    held: int = 0

    def ids(self, collection: str) -> list[Any]:
        return list(self.changed.get(collection, {}).values())

    def touched(self, collection: str, *, gone: bool = True, but: Iterable[Any] = ()) -> list[Any]:
        """The ids of changed documents, `but` for these, and of those that are `gone`, each once."""
        left = dict(self.changed.get(collection, {}))
        for key in but:
            left.pop(_name(key), None)
        return list((left | (self.gone.get(collection, {}) if gone else {})).values())

    @property
    def size(self) -> int:
        """How many documents have changed."""
        return sum(map(len, self.changed.values()))

    def add(self, change: Document) -> None:
        """Take in a change. Raises Ended where the stream goes no further."""
        kind = change["operationType"]
        self.newest = change["clusterTime"].as_datetime().replace(tzinfo=None)
        if kind in (*NEWS, DELETE):
            self.deletes += kind == DELETE
            self._note(self.gone if kind == DELETE else self.changed, change)
        elif kind == "rename":
            self.replaced.append(change["to"]["coll"])
        elif kind in ENDS:
            raise Ended("the database was dropped: there is nothing left to follow", hint="lbmigrate plan")
        else:
            self.deletes += 1

    def _note(self, among: dict[str, dict[bytes, Any]], change: Document) -> None:
        key = change["documentKey"]["_id"]
        if is_lost(key):  # nobody can ask for the document; a backfill rejects it by name
            return
        name = _name(key)
        among.setdefault(change["ns"]["coll"], {})[name] = key
        self.held += len(name)


def _name(key: Any) -> bytes:
    """By which an id is known as the very same one."""
    return bson.encode({"": key}, codec_options=CODECS)


def watch(database: Database[Any], collections: Iterable[str], token: Document | None) -> Stream:
    """Every change of these collections after `token`, or from now on.

    Raises Refused on a server without change streams, OperationFailure with one of HISTORY_LOST for a token that is
    too old.
    """
    names = {"$in": sorted(collections)}
    wanted = [{"ns.coll": names}, {"to.coll": names}, {"operationType": {"$in": list(ENDS)}}]
    fields = dict.fromkeys(("operationType", "ns", "to", "documentKey", "clusterTime"), 1)
    pipeline: list[Document] = [{"$match": {"$or": wanted}}, {"$project": fields}]
    if is_fake(database):
        raise _refusal("the in-memory database")
    followed = lenient(durable(database).with_options(codec_options=CODECS))
    try:
        return retrying(lambda: followed.watch(pipeline, start_after=token, max_await_time_ms=POLL_MS))
    except OperationFailure as error:
        if error.code == NO_STREAMS:
            raise _refusal("a standalone server") from error
        raise


def _refusal(what: str) -> Refused:
    hint = "start mongod with --replSet rs0 and type rs.initiate() once; or schedule lbmigrate backfill instead"
    return Refused(f"{what} has no change streams to follow: they need a replica set", hint)


def without_stream(database: Database[Any], collections: Iterable[str]) -> list[str]:
    """Those that have no change stream, and whose changes nobody is told of: views and time-series collections."""
    if is_fake(database):
        return []
    asked = {"name": {"$in": sorted(collections)}, "type": {"$in": ["view", "timeseries"]}}
    return sorted(info["name"] for info in database.list_collections(filter=asked))
