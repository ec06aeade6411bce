"""Where the original keeps documents, with indexes: made at the second question about a field, gone with a write."""
# mypy: disallow-subclassing-any=False, warn-return-any=False

from __future__ import annotations

import uuid
from typing import Any

from mongomock_ng import store

from lbmigrate.mongo.fake.comparison import identity
from lbmigrate.mongo.fake.order import Index
from lbmigrate.records import Document


class CollectionStore(store.CollectionStore):
    """One collection's documents. Whoever alters a document in place must say so with `changed`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.identity = uuid.uuid4()
        self._asked: set[str] = set()
        self._indexes: dict[str, Index | None] = {}

    def all(self) -> list[Document]:
        return list(self._documents.values())

    def index(self, path: str) -> Index | None:
        """An index on a path; None where its values allow none, and at the first question, which needs but a scan."""
        if path not in self._asked:
            self._asked.add(path)
            return None
        if path not in self._indexes:
            self._indexes[path] = Index.of(path, self.all())
        return self._indexes[path]

    def changed(self) -> None:
        self._asked.clear()
        self._indexes.clear()

    def __contains__(self, key: Any) -> bool:
        return identity(key) in self._documents  # an expired document too, like on a server until its next sweep

    def __getitem__(self, key: Any) -> Document:
        return self._documents[identity(key)]

    def __setitem__(self, key: Any, document: Document) -> None:
        self.changed()
        self._documents[identity(key)] = document

    def __delitem__(self, key: Any) -> None:
        self.changed()
        del self._documents[identity(key)]

    def drop(self) -> None:
        self.identity = uuid.uuid4()
        self.changed()
        super().drop()


class DatabaseStore(store.DatabaseStore):
    """One database's collections; each is there as soon as it is named."""

    def __getitem__(self, name: str) -> CollectionStore:
        if name not in self._collections:
            self._collections[name] = CollectionStore(name)
        return self._collections[name]


class ServerStore(store.ServerStore):
    """One server's databases; each is there as soon as it is named."""

    def __getitem__(self, name: str) -> DatabaseStore:
        if name not in self._databases:
            self._databases[name] = DatabaseStore()
        return self._databases[name]
