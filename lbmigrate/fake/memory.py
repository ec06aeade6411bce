"""mongomock-ng, mended where it differs from a server in what this project does.

Its single operations are not atomic, so here they take turns; that makes one document's write atomic, as on a server.
Validators are stored and listed but not applied: it cannot evaluate `$jsonSchema`. A look-up by `_id` does not search
the whole collection, and walking a result takes linear time. Hints, batch sizes and comments mean nothing in memory
and are dropped without a warning. Method names and parameters are those of pymongo.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, ObjectId, Timestamp
from bson.int64 import Int64
from mongomock_ng.collection import Collection, Cursor
from mongomock_ng.database import Database
from mongomock_ng.filtering import TYPE_MAP, filter_applies
from mongomock_ng.mongo_client import MongoClient

INT32 = 2**31

# The original tells int from long by size alone, and lacks some types; a server goes by what was stored.
TYPE_MAP |= {
    "binData": lambda value: isinstance(value, bytes | Binary | UUID),
    "int": lambda value: type(value) is int and -INT32 <= value < INT32,
    "long": lambda value: isinstance(value, Int64) or (type(value) is int and not -INT32 <= value < INT32),
    "number": lambda value: isinstance(value, int | float | Decimal128) and not isinstance(value, bool),
    "timestamp": lambda value: isinstance(value, Timestamp),
}

PLAIN_IDS = (str, int, Int64, ObjectId)  # equal and hashed in Python as they are on a server


class Client(MongoClient):
    """A server of its own: two clients share nothing."""

    def __init__(self) -> None:
        super().__init__(tz_aware=False)
        self._turn = threading.RLock()

    def get_database(self, name: str, **_: Any) -> _Database:
        """The database `name`; concerns and preferences mean nothing here."""
        self._check_closed()
        with self._turn:
            return _Database(self, name, _store=self._store[name], codec_options=self.codec_options)

    def drop_database(self, name_or_database: Any, session: Any = None) -> None:
        """Drop a database, given by its name or itself."""
        with self._turn:
            super().drop_database(getattr(name_or_database, "name", name_or_database))


class _Database(Database):
    def get_collection(self, name: str, codec_options: Any = None, **_: Any) -> _Collection:
        self._ensure_valid_collection_name(name)
        return _Collection(self, name, _db_store=self._store, codec_options=codec_options or self.codec_options)

    def with_options(self, **_: Any) -> _Database:
        return self

    def list_collection_names(self, session: Any = None, filter: Any = None, **_: Any) -> list[str]:
        # The original also names collections that were only looked at.
        created = self._store.list_created_collection_names()
        return [name for name in created if filter_applies(filter or {}, {"name": name})]

    def list_collections(self, session: Any = None, filter: Any = None, **_: Any) -> Iterator[dict[str, Any]]:
        for entry in super().list_collections():
            entry["options"] = self[entry["name"]].options()
            if filter_applies(filter or {}, entry):
                yield entry

    def create_collection(self, name: str, session: Any = None, **options: Any) -> _Collection:
        with self.client._turn:
            return super().create_collection(name, **options)

    def drop_collection(self, name_or_collection: Any, session: Any = None, **_: Any) -> None:
        name = getattr(name_or_collection, "name", name_or_collection)
        with self.client._turn:
            super().drop_collection(name)
            self._store[name].options.clear()


class _Collection(Collection):
    def with_options(self, codec_options: Any = None, **_: Any) -> _Collection:
        return self.database.get_collection(self.name, codec_options=codec_options or self.codec_options)

    def options(self, session: Any = None) -> dict[str, Any]:
        return copy.deepcopy(self._store.options)

    def find(
        self,
        filter: Any = None,
        projection: Any = None,
        *,
        skip: int = 0,
        limit: int = 0,
        sort: Any = None,
        hint: Any = None,
        batch_size: int = 0,
        comment: Any = None,
        session: Any = None,
        max_time_ms: int | None = None,
        allow_disk_use: bool | None = None,
        no_cursor_timeout: bool = False,
    ) -> _Cursor:
        return _Cursor(self, filter or {}, sort, projection, skip, limit)

    def aggregate(self, pipeline: Any, session: Any = None, **_: Any) -> Any:
        return super().aggregate(pipeline)

    def count_documents(self, filter: Any, session: Any = None, **options: Any) -> int:
        bounds = {name: options[name] for name in ("skip", "limit") if name in options}
        with self.database.client._turn:
            return int(super().count_documents(filter, **bounds))

    def estimated_document_count(self, comment: Any = None, **_: Any) -> int:
        return len(self._store)

    # Every read and write of the original goes through one of these.

    def _insert(self, data: Any, session: Any = None, ordered: bool = True, validate: bool = True) -> Any:
        with self.database.client._turn:
            return super()._insert(data, session, ordered, validate=False)

    def _update(self, *args: Any, **options: Any) -> Any:
        with self.database.client._turn:
            return super()._update(*args, **options | {"validate": False, "hint": None})

    def _delete(self, *args: Any, **options: Any) -> Any:
        with self.database.client._turn:
            return super()._delete(*args, **options | {"hint": None})

    def _find_and_modify(self, *args: Any, **options: Any) -> Any:
        with self.database.client._turn:
            return super()._find_and_modify(*args, **options)

    def _get_dataset(self, *args: Any) -> Iterator[Any]:
        with self.database.client._turn:
            return iter(list(super()._get_dataset(*args)))

    def _iter_documents(self, filter: Any) -> Iterator[Any]:
        ids = _asked_ids(filter)
        if ids is None:
            yield from super()._iter_documents(filter)
            return
        rest = {key: value for key, value in filter.items() if key != "_id"}
        for found in [self._store[key] for key in ids if key in self._store]:
            if filter_applies(rest, found):
                yield found


class _Cursor(Cursor):
    def rewind(self) -> None:
        super().rewind()
        self._rest: Iterator[Any] | None = None

    def __next__(self) -> Any:
        # The original copies the whole result for every document of it.
        if self._rest is None:
            self._rest = iter(self._compute_results(with_limit_and_skip=True))
        return next(self._rest)

    next = __next__

    def batch_size(self, batch_size: int) -> _Cursor:
        return self

    def comment(self, comment: Any) -> _Cursor:
        return self


def _asked_ids(filter: dict[str, Any]) -> list[Any] | None:
    """The ids in `{_id: x}` or `{_id: {$in: [x, …]}}`, each once; None if every document must be tried."""
    asked = filter.get("_id")
    ids = asked["$in"] if isinstance(asked, dict) and asked.keys() == {"$in"} else [asked]
    return list(dict.fromkeys(ids)) if all(type(key) in PLAIN_IDS for key in ids) else None
