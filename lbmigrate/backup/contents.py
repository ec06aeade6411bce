"""What is in a file of a backup, which somebody else may have made: read without waiting, and in bounded memory."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import stat
from pathlib import Path

SMALLEST, LARGEST = 5, 17_000_000  # bytes of a document: what a server keeps has at most 16 MiB and some


def unpacked(path: Path) -> bytes:
    """A small gzip file. Raises OSError for one that unpacks to more than a document may have."""
    with regular(path) as raw, gzip.open(raw) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise OSError(errno.EFBIG, f"it unpacks to more than {LARGEST:,} bytes")
    return text


def digest(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` prints it."""
    with regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regular(path: Path) -> io.BufferedReader:
    """A file to read from. Raises OSError for what is none: a pipe would be waited for, and a device never ends."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is no regular file", str(path))
