"""mongomock-ng, corrected where it differs from a server in what this project does, and where it is too slow for it.

Its single operations are not atomic, so here they take turns; that makes one document's write atomic, as on a server.
Validators are stored and listed but not applied: it cannot evaluate `$jsonSchema`. Hints, batch sizes and comments mean
nothing in memory and are dropped without a warning. Method names and parameters are those of pymongo.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import bson
from bson import Binary, Int64, ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from mongomock_ng.aggregate import process_pipeline
from mongomock_ng.collection import Collection, _validate_data_fields
from mongomock_ng.database import Database
from mongomock_ng.filtering import filter_applies
from mongomock_ng.geospatial import extract_near_specs
from mongomock_ng.mongo_client import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from lbmigrate.mongo.fake.cursor import Cursor
from lbmigrate.mongo.fake.documents import id_objection, new, projector, shows_all, stored
from lbmigrate.mongo.fake.fields import change, corrected
from lbmigrate.mongo.fake.matching import matching, sought, streamed
from lbmigrate.mongo.fake.order import in_order, is_plain
from lbmigrate.mongo.fake.stages import first_stages
from lbmigrate.mongo.fake.store import ServerStore
from lbmigrate.mongo.fake.updates import check, left_over
from lbmigrate.records import Document

PLAIN_IDS = (str, int, Int64, ObjectId)  # equal and hashed in Python as they are on a server
STANDARD: CodecOptions[Document] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
DUPLICATE_KEY = 11000


class Client(MongoClient):
    """A server of its own: two clients share nothing."""

    def __init__(self) -> None:
        super().__init__(tz_aware=False, uuidRepresentation="standard", _store=ServerStore())
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
        with self.client._turn:
            created = self._store.list_created_collection_names()
        return [name for name in created if filter_applies(filter or {}, {"name": name})]

    def list_collections(self, session: Any = None, filter: Any = None, **_: Any) -> Iterator[dict[str, Any]]:
        for entry in super().list_collections():
            entry["options"] = self[entry["name"]].options()
            entry["info"]["uuid"] = Binary.from_uuid(self._store[entry["name"]].identity)
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
    @property
    def _turn(self) -> threading.RLock:
        return self.database.client._turn

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
    ) -> Cursor:
        return Cursor(self, filter or {}, sort, projection, skip, limit)

    def find_one(self, filter: Any = None, *args: Any, **options: Any) -> Document | None:
        asked = filter if filter is None or isinstance(filter, Mapping) else {"_id": filter}
        return next(self.find(asked, *args, **options).limit(-1), None)

    def aggregate(self, pipeline: Any, session: Any = None, **_: Any) -> Any:
        stages = list(pipeline)
        found = self.find(stages.pop(0)["$match"] if stages and stages[0].keys() == {"$match"} else {})
        by = stages[0].get("$group", {}).get("_id") if stages else None
        if isinstance(by, str) and by.startswith("$") and not by.startswith("$$"):
            found.sort(by[1:])  # $group sorts by slow comparisons, of which sorted documents need the fewest
        documents, rest = first_stages(found, stages)
        return process_pipeline(documents, self.database, rest, session)

    def count_documents(self, filter: Any, session: Any = None, **options: Any) -> int:
        bounds = {name: options[name] for name in ("skip", "limit") if name in options}
        with self._turn:
            return int(super().count_documents(filter, **bounds))

    def estimated_document_count(self, comment: Any = None, **_: Any) -> int:
        with self._turn:
            return len(self._store)

    def create_index(self, *args: Any, **options: Any) -> str:
        with self._turn:
            return super().create_index(*args, **options)

    # Every read and write of the original goes through one of these.

    def _insert(self, data: Any, session: Any = None, ordered: bool = True, validate: bool = True) -> Any:
        with self._turn:
            if isinstance(data, dict) and "_id" in data and not self._has_unique_index():
                return self._insert_plain(data)
            return super()._insert(data, session, ordered, validate=False)

    def _update(self, *args: Any, **options: Any) -> Any:
        with self._turn:
            try:
                return super()._update(*args, **options | {"validate": False, "hint": None})
            finally:
                self._store.changed()

    def _apply_update_document(self, existing_document: Any, spec: Any, document: Any, was_insert: bool) -> None:
        """Apply an update of operators whole or not at all, like a server."""
        check(existing_document, document, was_insert, not was_insert or "_id" in spec)
        before = stored(existing_document)
        try:
            rest = left_over(existing_document, document)
            if rest or not document:  # to the original an empty one is a document to put in place of this one
                super()._apply_update_document(existing_document, spec, rest, was_insert)
        except BaseException:
            existing_document.clear()
            existing_document.update(before)
            raise

    def _update_document_single_field(self, doc: Any, field_name: str, field_value: Any, updater: Any) -> None:
        made = partial(corrected(updater), value=field_value, codec_options=self.codec_options)
        change(doc, field_name.split("."), made)

    def _delete(self, *args: Any, **options: Any) -> Any:
        with self._turn:
            return super()._delete(*args, **options | {"hint": None})

    def _find_and_modify(self, *args: Any, **options: Any) -> Any:
        with self._turn:
            try:
                return super()._find_and_modify(*args, **options)
            except DuplicateKeyError:
                raise
            except WriteError as error:  # which is an error of bulks and updates alone
                raise OperationFailure(str(error), error.code) from None

    def _get_dataset(self, filter: Any, sort: Any, fields: Any, as_class: Any) -> Iterator[Document]:
        return iter(self._found(filter, sort, fields, 0, None))

    def _iter_documents(self, filter: Any) -> Iterator[Document]:
        if self._store.is_empty:
            matching(filter, [{}])  # a filter that is wrong is refused even so
        return streamed(filter, self._candidates(filter))

    # What makes them fast.

    def _found(self, filter: Any, sort: Any, fields: Any, skip: int, limit: int | None) -> list[Document]:
        """Copies of the documents asked for: found, sorted and cut short before anything is copied."""
        end = skip + limit if limit else None
        order = list(sort.items() if isinstance(sort, dict) else sort or ())
        with self._turn:
            if not (is_plain(order) and shows_all(fields)) or extract_near_specs(filter)[0]:
                return list(super()._get_dataset(filter, sort, fields, dict))[skip:end]
            show = projector(fields) or (lambda each: self._copy_only_fields(each, copy.copy(fields), dict, filter))
            documents = self._ordered(filter, order, end) if order else self._iter_documents(filter)
            return [show(each) for each in islice(documents, skip, end)]

    def _ordered(self, filter: Document, order: list[Any], most: int | None) -> Iterator[Document]:
        [(path, way), *others] = order
        index = None if others or self._store.is_empty else self._store.index(path)
        if index is None:
            return iter(in_order(list(self._iter_documents(filter)), order, most))
        return streamed(filter, index.walk(way, filter.get(path, {})))

    def _candidates(self, filter: Document) -> Iterable[Document]:
        """At least all documents that meet the filter, in the order of insertion."""
        key = filter.get("_id")
        if type(key) in PLAIN_IDS:
            return [self._store[key]] if key in self._store else []
        for path, asked in filter.items():
            values = None if path.startswith("$") else sought(asked)
            index = None if values is None else self._store.index(path)
            if index is not None:
                return index.holding(values)
        return self._store.all()

    def _insert_plain(self, document: Document) -> Any:
        """Insert one document as the original does, whose copying and locking take three times as long."""
        bson.encode(document, codec_options=STANDARD)  # refuses what a server cannot keep
        _validate_data_fields(document)
        key = document["_id"]
        if objection := id_objection(key):
            raise WriteError(*objection)
        if key in self._store:
            pattern = {"keyPattern": {"_id": 1}, "keyValue": {"_id": key}}
            raise DuplicateKeyError("E11000 Duplicate Key Error", DUPLICATE_KEY, pattern)
        self._store[key] = new(document)
        return key

    def _has_unique_index(self) -> bool:
        return any(index.get("unique") for index in self._store.indexes.values())
