"""What is written to, also where it was closed, or is a file on a disk that is full."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TextIO, cast


class _Nowhere(io.TextIOBase):
    """In the place of a stream that was closed before this process began."""

    def write(self, text: str, /) -> int:
        return len(text)


class _Lossy:
    """A stream that nobody is to miss a run for: what cannot be written to it now is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def opened(stream: TextIO | None) -> TextIO:
    """A stream to write to; Python has None for one that was closed."""
    return stream if stream is not None else cast("TextIO", _Nowhere())


def lossy(stream: TextIO) -> TextIO:
    """The same for narration, which a full disk, or a reader who has gone, does not stop."""
    return cast("TextIO", _Lossy(stream))
