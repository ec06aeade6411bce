"""Rows that nobody but the holder of the lease writes: while a run holds it, it reads each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from threading import Lock

from lbmigrate.records import Document

KINDS = frozenset({"step", "watermark", "ledger"})


class HeldRows:
    """Such rows as they were read, until this run writes them. Holds none without the lease."""

    def __init__(self) -> None:
        self._rows: dict[str, Document] | None = None
        self._one_reads = Lock()

    def begin(self) -> None:
        """Hold rows from now on: the lease is taken, and no write of an earlier holder matches any more."""
        self._rows = {}

    def end(self) -> None:
        """Hold none any more: somebody else may write them."""
        self._rows = None

    def get(self, row: str, read: Callable[[], Document]) -> Document:
        """A row, by `read` where it is not held. What is handed out is the caller's own."""
        rows = self._rows
        if rows is None or row.partition(":")[0] not in KINDS:
            return read()
        with self._one_reads:  # what was read before a write is not kept after it
            if row not in rows:
                rows[row] = read()
            return deepcopy(rows[row])

    def written(self, rows: Iterable[str]) -> None:
        """Read these again: they were written, or it is not known whether they were."""
        with self._one_reads:
            if self._rows is not None:
                for row in rows:
                    self._rows.pop(row, None)

    def all_written(self) -> None:
        """Read every row again."""
        with self._one_reads:
            if self._rows is not None:
                self._rows.clear()
