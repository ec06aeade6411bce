"""The numbers of an older counter: where they are, and every user's once, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lbmigrate.config.model import Config
from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.values.coerce import as_number
from lbmigrate.values.ids import folded_id
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.paths import pluck, projection_of


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the old numbers are: a collection, the path of the number, and the path of the user's id."""

    collection: str
    path: str
    key: str

    @classmethod
    def of(cls, words: str, config: Config) -> Counter:
        """From `users:points`, or `leaderboards:score:userId`. Raises UsageError for anything else."""
        parts = words.split(":")
        if not 2 <= len(parts) <= 3 or not all(parts) or any(part.startswith("$") for part in parts):
            raise UsageError(f"--against {words!r} names no counter", "write COLLECTION:PATH or COLLECTION:PATH:KEY")
        usual = config.users.key if parts[0] == config.users.collection else "_id"
        return cls(parts[0], parts[1], parts[2] if len(parts) == 3 else usual)

    def __str__(self) -> str:
        return f"{self.collection}.{self.path}"


class Odd(Protocol):
    """Who counts what is no number, has no user, or comes once more."""

    unreadable: int
    unnamed: int
    repeated: int


def check(context: Context, words: str) -> Counter:
    """The counter that these words name. Raises UsageError where there is no such collection."""
    counter = Counter.of(words, context.config)
    if counter.collection not in present_collections(context.sources):
        told = f"--against: there is no collection {counter.collection!r} in {context.sources.name}"
        raise UsageError(told, "write COLLECTION:PATH or COLLECTION:PATH:KEY")
    return counter


def numbers_of(context: Context, counter: Counter, tally: Odd) -> Iterator[tuple[Any, float]]:
    """Every user's number once, of several the largest: that is the one of all time where others are of weeks."""
    held: tuple[Any, float] | None = None
    for user, number in _each(context, counter, tally):
        if held is not None and folded_id(held[0]) == folded_id(user):
            tally.repeated += 1
            held = held[0], max(held[1], number)
            continue
        if held is not None:
            yield held
        held = user, number
    if held is not None:
        yield held


def _each(context: Context, counter: Counter, tally: Odd) -> Iterator[tuple[Any, float]]:
    """Every number with its user, in the order of the key, so that those of one user stand together."""
    paths = projection_of([counter.path, counter.key])
    cursor = lenient(context.sources)[counter.collection].find({}, paths).sort(counter.key, 1)
    for document in cursor if is_fake(context.sources) else cursor.allow_disk_use(True):
        user, value = taken(counter, document)
        number = as_number(value)
        if not names_a_user(user):
            tally.unnamed += 1
        elif math.isnan(number):
            tally.unreadable += value is not None
        else:
            yield user, number


def taken(counter: Counter, document: Document) -> tuple[Any, Any]:
    """The user and the number of a document, as they are."""
    found = pluck([document], [counter.key, counter.path])
    return found[counter.key][0], found[counter.path][0]
