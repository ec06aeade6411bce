"""The cursor of the in-memory database: as the original's, but that it finds each document once."""
# mypy: disallow-subclassing-any=False, warn-return-any=False

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mongomock_ng import collection
from mongomock_ng.helpers import make_datetime_timezone_aware_in_document

from lbmigrate.mongo.fake.documents import stored
from lbmigrate.records import Document


class Cursor(collection.Cursor):
    """A question to a collection, and its answer document by document."""

    def __init__(self, asked: Any, spec: Any, *more: Any) -> None:
        super().__init__(asked, spec, *more)
        self._spec = stored(spec)  # the original takes an empty timestamp for the time now

    def rewind(self) -> None:
        super().rewind()
        self._rest: Iterator[Document] | None = None

    def __next__(self) -> Document:
        # The original copies the whole result for every document of it.
        if self._rest is None:
            self._rest = iter(self._compute_results(with_limit_and_skip=True))
        return next(self._rest)

    next = __next__

    def batch_size(self, batch_size: int) -> Cursor:
        return self

    def comment(self, comment: Any) -> Cursor:
        return self

    def _compute_results(self, with_limit_and_skip: bool = False) -> list[Document]:
        skip, limit = (self._skip, abs(self._limit or 0)) if with_limit_and_skip else (0, 0)
        found = self.collection._found(self._spec, self._sort, self._projection, skip, limit)
        if self.collection.codec_options.tz_aware:
            return [make_datetime_timezone_aware_in_document(document) for document in found]
        return found
