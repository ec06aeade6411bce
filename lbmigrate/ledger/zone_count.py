"""How many users have no time zone, or one that nobody knows, so that their days are those of everybody's zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from lbmigrate.config.model import Config
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Checkpoint, Document, Piece, amount
from lbmigrate.run.context import Context
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.paths import pluck, projection_of
from lbmigrate.values.zones import zone_named

ROW = "zones"  # what the last run that wrote entries found
SUBJECT = "users"
COUNTING_MS = 5_000


@dataclass(frozen=True, slots=True)
class Zoneless:
    """Of so many users how many have no zone, and how many one that is not known, with an example of these."""

    users: int = 0
    absent: int = 0
    unknown: int = 0
    example: str = ""

    def told(self, config: Config) -> str:
        """What that means, as a sentence; empty where each of them has a known one."""
        parts = []
        if self.unknown:
            have = "has a time zone that is" if self.unknown == 1 else "have a time zone that is"
            parts.append(f"{amount(self.unknown, 'user')} {have} not known, such as {self.example}")
        if self.absent:
            parts.append(f"{amount(self.absent, 'user')} {'has' if self.absent == 1 else 'have'} none")
        theirs = f"their days are those of {config.timezone}"
        return f"of {amount(self.users, 'user')} {', and '.join(parts)}: {theirs}" if parts else ""


def of_values(values: Iterable[tuple[Any, int]]) -> Zoneless:
    """The same of values, each with how many users have it."""
    users = absent = unknown = 0
    example = ""
    for value, number in values:
        users += number
        if value is None:
            absent += number
        elif zone_named(value) is None:
            unknown += number
            example = example or excerpt(value)
    return Zoneless(users, absent, unknown, example)


def counted(context: Context) -> Zoneless | None:
    """All users by one look at their collection; None where that takes the server too long."""
    users, path = context.config.users, str(context.config.users.timezone)
    collection = lenient(context.sources)[users.collection]
    if is_fake(context.sources):
        rows = list(collection.find({}, projection_of([path])))
        return of_values((value, 1) for value in pluck(rows, [path])[path])
    stages: list[Document] = [{"$group": {"_id": f"${path}", "n": {"$sum": 1}}}]
    try:
        found = collection.aggregate(stages, allowDiskUse=True, maxTimeMS=COUNTING_MS)
        return of_values((row["_id"], row["n"]) for row in found)
    except OperationFailure:
        return None


def following(context: Context, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """These pieces, and then what is to be said of zones if they wrote entries; nothing where nobody has a zone."""
    written = 0
    for piece in pieces:
        written += piece.entries
        yield piece
    if not context.config.users.timezone or context.stopping() or not (written or not context.state.get(ROW)):
        return
    if found := counted(context):
        kept = {"users": found.users, "absent": found.absent, "unknown": found.unknown, "example": found.example}
        yield Piece(SUBJECT, checkpoint=Checkpoint(ROW, kept), note=found.told(context.config))


def kept(context: Context) -> str:
    """What the last run said; empty where there is nothing to say."""
    row = context.state.get(ROW)
    if not row or not context.config.users.timezone:
        return ""
    return Zoneless(row["users"], row["absent"], row["unknown"], row["example"]).told(context.config)
