"""Rows that nobody but the holder of the lease writes: while a run holds it, it reads them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from threading import Lock

from lbmigrate.records import Document

KINDS = frozenset({"step", "watermark", "ledger"})


class HeldRows:
    """Such rows as they were read, all of them at once, until this run writes them. Holds none without the lease."""

    def __init__(self) -> None:
        self._rows: dict[str, Document] | None = None
        self._unread: set[str] | None = None  # rows to be read again; None is all
        self._one_reads = Lock()

    def begin(self) -> None:
        """Hold rows from now on: the lease is taken, and no write of an earlier holder matches any more."""
        with self._one_reads:
            self._rows, self._unread = {}, None

    def end(self) -> None:
        """Hold none any more: somebody else may write them."""
        with self._one_reads:
            self._rows = None

    def get(self, row: str, read: Callable[[], Document], read_all: Callable[[], dict[str, Document]]) -> Document:
        """A row, or an empty one; by `read` or `read_all` where it is not held. What is handed out is a copy."""
        if row.partition(":")[0] not in KINDS:
            return read()
        with self._one_reads:  # what was read before a write is not kept after it
            if self._rows is not None:
                if self._unread is None:
                    self._rows, self._unread = read_all(), set()
                elif row in self._unread:
                    self._rows[row] = read()
                    self._unread.discard(row)
                return deepcopy(self._rows.get(row, {}))
        return read()

    def written(self, rows: Iterable[str]) -> None:
        """Read these again: they were written, or it is not known whether they were."""
        with self._one_reads:
            if self._unread is not None:
                self._unread.update(rows)

    def all_written(self) -> None:
        """Read every row again."""
        with self._one_reads:
            self._unread = None
