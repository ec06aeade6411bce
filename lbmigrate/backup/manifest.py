"""What a backup says of itself: what it is of, when and how it was taken, and how each of its files is known again."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields

from lbmigrate.config.types import DATABASE


@dataclass(frozen=True, slots=True)
class Entry:
    """One collection of a backup: how much it is, the SHA-256 of its two files, and the snapshot that it was read in.

    `size` is that of the documents in bytes, before compression. Entries of one snapshot are of the same moment;
    without one (None), what was written meanwhile may or may not be there.
    """

    database: str
    collection: str
    documents: int
    size: int
    sha256: str
    metadata_sha256: str
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of, and what it holds so far. Times are ISO 8601 in UTC; `server` is redacted."""

    database: str
    state_database: str
    server: str
    sources: bool
    by: str
    begun: str
    finished: str | None = None
    consistent: bool = False
    notes: tuple[str, ...] = ()
    collections: tuple[Entry, ...] = ()
    layout: int = 1

    @property
    def subject(self) -> tuple[str, str, str, bool]:
        """What the backup is of; only backups of the same may be parts of one."""
        return self.database, self.state_database, self.server, self.sources

    @property
    def is_of_one_moment(self) -> bool:
        moments = {entry.snapshot for entry in self.collections}
        return len(moments) <= 1 and None not in moments

    @property
    def documents(self) -> int:
        return sum(entry.documents for entry in self.collections)

    @property
    def words(self) -> str:
        """What the backup is of, for a message."""
        return f"of {self.database} at {self.server}, {'with' if self.sources else 'without'} --sources"

    def text(self) -> str:
        """As it is kept in a file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def of(cls, text: str) -> Manifest:
        """What `text` made. Raises what json does, TypeError or LookupError when that is not it."""
        found = json.loads(text)
        if not all(isinstance(found[name], list) for name in ("collections", "notes")):
            raise TypeError("collections and notes must be lists")
        entries = tuple(Entry(**entry) for entry in found["collections"])
        manifest = cls(**{**found, "collections": entries, "notes": tuple(found["notes"])})
        records: list[Manifest | Entry] = [manifest, *entries]
        for record in records:
            _check(record)
        if not all(isinstance(note, str) for note in manifest.notes):
            raise TypeError("notes must be texts")
        databases = [manifest.database, manifest.state_database, *(entry.database for entry in entries)]
        if not all(re.match(DATABASE, name) for name in databases):
            raise ValueError("a database cannot be called so")  # and its files would be elsewhere
        return manifest


KINDS: dict[object, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "bool": (bool,), "str | None": (str, type(None)),
    "tuple[str, ...]": (tuple,), "tuple[Entry, ...]": (tuple,),
}  # fmt: skip


def _check(record: Manifest | Entry) -> None:
    """Raise TypeError for a field that is of another type than it must be."""
    for each in fields(record):
        value = getattr(record, each.name)
        if type(value) not in KINDS[each.type]:
            raise TypeError(f"{each.name} is {type(value).__name__} and must be {each.type}")
