"""A stream of changes read ahead, in a thread of its own, while what was read before is recorded.

So a batch is what has come meanwhile: little and soon where little happens, and much at once where much does, which
costs less for each change. Memory holds two of them, the one that is recorded and the one that is gathered.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from lbmigrate.live.changes import Batch, Ended, Stream
from lbmigrate.records import Document

MOST_BYTES = 4_000_000  # of ids in a batch
ENDING = 5.0  # seconds for which a server that does not answer is waited for in the end
SIZE, WINDOW = 4_000, 0.05  # changes in a batch, and seconds for which one is gathered while nobody waits for more


class Reader:
    """Reads a stream within a `with` block. The stream is nobody else's meanwhile."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._turn = stream, threading.Condition()
        self._batch, self._count, self._token = Batch(), 0, stream.resume_token
        self._is_quiet = self._is_over = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="lbmigrate-changes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._is_over = True
            self._turn.notify_all()
        self._thread.join(ENDING)

    def taken(self) -> tuple[Batch, Mapping[str, Any] | None]:
        """The changes since the last batch, and the token after them; empty when nothing changes for a moment.

        An id may be large: a batch ends with the one that makes it more than MOST_BYTES. Raises what reading has
        raised, when all that came before is taken, but for Ended: that at once.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._count or self._is_quiet or self._error)
            if self._count:
                self._turn.wait_for(lambda: self._is_full() or self._is_quiet or self._error, WINDOW)
            if self._error and (not self._count or isinstance(self._error, Ended)):
                raise self._error
            batch, self._batch, self._count, self._is_quiet = self._batch, Batch(), 0, False
            self._turn.notify_all()
            return batch, self._token

    def _is_full(self) -> bool:
        return self._count >= SIZE or self._batch.held >= MOST_BYTES

    def _read(self) -> None:
        try:
            while self._has_room():
                change = self._stream.try_next()
                with self._turn:
                    self._note(change)
                    self._turn.notify_all()
        except Exception as error:  # whoever takes the next batch is told
            with self._turn:
                self._error = error
                self._turn.notify_all()

    def _has_room(self) -> bool:
        """Wait until there is room for more; False when nobody wants it any more."""
        with self._turn:
            self._turn.wait_for(lambda: self._is_over or not self._is_full())
            return not self._is_over

    def _note(self, change: Document | None) -> None:
        self._is_quiet = change is None
        if change is None:
            if not self._count:
                self._token = self._stream.resume_token
            return
        self._batch.add(change)
        self._count += 1
        self._token = change["_id"]
