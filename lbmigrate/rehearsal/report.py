"""What a rehearsal came to, told, kept, and compared with a kept one: the outcome of a dry run in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.board.order import Order
from lbmigrate.board.ties import Ties
from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.files import private
from lbmigrate.mongo import faults
from lbmigrate.records import Document
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.values import extjson
from lbmigrate.values.id_text import id_text
from lbmigrate.values.json_stream import CANONICAL

KEPT = (EVENTS, ENTRIES)
WHEN_WRITTEN = ("createdAt", "updatedAt", "lastUpdated")  # of an entry; they differ from run to run
SHOWN = 3
MOVES = 10
DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class Move:
    """A user whose place on the global board would change; None where there is no place before or after."""

    user: str
    name: str | None
    before: int | None
    after: int | None


def report(target: Database[Any]) -> Document:
    """Counts, digests, rejects by reason, points by week, and a few events and entries to look at."""
    reasons = Counter(_reason(row["reason"]) for row in target[REJECTS].find({}, {"reason": 1}))
    weeks = Counter[str]()
    for entry in target[ENTRIES].find({"period": {"$regex": "W"}}, {"period": 1, "score": 1}):
        weeks[entry["period"]] += int(entry["score"])
    return {
        **summary(target),
        "rejects": dict(reasons.most_common()),
        "points_by_week": dict(sorted(weeks.items())),
        "samples": {name: list(target[name].find({}).sort("_id", 1).limit(SHOWN)) for name in KEPT},
    }


def _reason(reason: str) -> str:
    """The kind of a reason, without the value that it quotes."""
    return reason.partition("'")[0].partition(" (")[0].strip()


def moves(present: Database[Any], target: Database[Any], ties: Ties, orders: tuple[Order, Order]) -> list[Move]:
    """Who would rise and who would fall: the users at the top of either global board whose place differs.

    None where there is no board yet, or none that may be read; and nobody who opted out. `orders` are those of who
    shares a score, on the present board and on the other.
    """
    before, after = _readable_places(present, ties, orders[0]), _places(target, ties, orders[1])
    if not before:
        return []
    leaders = sorted(before.keys() | after.keys(), key=lambda user: min(_place(before, user), _place(after, user)))
    differing = (user for user in leaders if _place(before, user) != _place(after, user))
    told = [
        Move(user, _name(before, after, user), *(_rank(places, user) for places in (before, after)))
        for user in differing
    ]
    return told[:MOVES]


Places = dict[str, tuple[int, Document]]


def _readable_places(database: Database[Any], ties: Ties, order: Order) -> Places:
    """The present places; none for a database user who may read no more than the sources."""
    try:
        return _places(database, ties, order)
    except OperationFailure as error:
        if error.code != faults.UNAUTHORIZED:
            raise
        return {}


def _places(database: Database[Any], ties: Ties, order: Order) -> Places:
    """Ranks on the global board, as the board gives them."""
    places: Places = {}
    scores, first, score = 0, 0, None
    found = database[ENTRIES].find({"period": "global"}).sort(list(order.sort(-1).items()))
    for position, entry in enumerate(found, start=1):
        if entry["score"] != score:
            scores, first, score = scores + 1, position, entry["score"]
        rank = {"competition": first, "dense": scores, "ordinal": position}[ties]
        if not entry.get("optOutSnapshot"):
            places[id_text(entry["userId"])] = (rank, entry)
    return places


def _rank(places: Places, user: str) -> int | None:
    return places[user][0] if user in places else None


def _place(places: Places, user: str) -> float:
    return places[user][0] if user in places else float("inf")


def _name(before: Places, after: Places, user: str) -> str | None:
    return (after.get(user) or before[user])[1].get("displayNameSnapshot")


# --- keeping and comparing ---------------------------------------------------------------------------------------


def keep(target: Database[Any], directory: Path) -> None:
    """Write events and entries as files of canonical Extended JSON, sorted by `_id`, without the times of writing.

    They hold names and actions of people, so nobody else can read them. Raises Refused when another user owns the
    directory, can change it, or made a link on the way to it.
    """
    home = _made(directory)
    for name in KEPT:
        extjson.write(home / f"{name}.ndjson", _settled(target, name), canonical=True)


def _made(directory: Path) -> Path:
    try:
        found = private.resolved(directory)
        private.make_directory(found)
    except private.Exposed as error:
        raise Refused(str(error.strerror), error.remedy) from error
    except OSError as error:
        hint = "name a directory that can be made: --out DIR"
        raise LbmigrateError(f"{directory} cannot be made: {error.strerror}", hint) from error
    return found


def _settled(target: Database[Any], name: str) -> Iterator[Document]:
    left_out = WHEN_WRITTEN if name == ENTRIES else ()
    for document in target[name].find({}).sort("_id", 1):
        yield {field: value for field, value in document.items() if field not in left_out}


def compare(target: Database[Any], directory: Path) -> list[str]:
    """How the outcome differs from a kept one, a line for each document, the first few only; empty when it does not.

    Raises UsageError when the directory holds no kept outcome.
    """
    kept = extjson.collections(directory)
    told: list[str] = []
    for name in KEPT:
        expected = {document["_id"]: document for document in extjson.read(kept[name])} if name in kept else {}
        found = {document["_id"]: document for document in _settled(target, name)}
        told += [f"{name} {line}" for line in _differences(expected, found)]
    return told


def _differences(expected: dict[Any, Document], found: dict[Any, Document]) -> Iterable[str]:
    for key in sorted(expected.keys() | found.keys(), key=str):
        if key not in found:
            yield f"{key}: expected, and not there"
        elif key not in expected:
            yield f"{key}: there, and not expected"
        elif words := ", ".join(_changes(expected[key], found[key])):
            yield f"{key}: {words}"


def _changes(old: Document, new: Document) -> Iterator[str]:
    for name in old | new:
        if _text(old.get(name)) != _text(new.get(name)):
            yield f"{name} {old.get(name)!r} → {new.get(name)!r}"


def _text(value: Any) -> str:
    """As it is kept: tells a double from an integer, and takes a NaN for itself."""
    return json_util.dumps(value, json_options=CANONICAL)
