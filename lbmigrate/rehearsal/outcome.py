"""What a migration came to: counts, sums and digests that two runs, or two programs, can be compared by."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.rules.periods import kind_of
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import partitions
from lbmigrate.values.id_text import id_text


def summary(database: Database[Any]) -> Document:
    """Events by action, entries by kind of period, the points of everyone, and the digests.

    `sha256_global` is over the lines `<user> <score>`, `sha256_week` over `<user> <period> <score>`, each sorted as
    text by user and period and joined by a newline.
    """
    actions = Counter(row["actionType"] for row in database[EVENTS].find({}, {"actionType": 1, "_id": 0}))
    entries = Counter(kind_of(row["period"]) for row in _entries(database, {"period": 1, "_id": 0}))
    overall = [(user, score) for user, _, score in _scores(database, "global")]
    weeks = [f"{user} {period} {score}" for user, period, score in sorted(_scores(database, "week"))]
    return {
        "score_events": dict(sorted(actions.items())),
        "entries": dict(sorted(entries.items())),
        "points": {"global": sum(score for _, score in overall)},
        "sha256_global": _digest([f"{user} {score}" for user, score in sorted(overall)]),
        "sha256_week": _digest(weeks),
    }


def _scores(database: Database[Any], kind: str) -> Iterator[tuple[str, str, int]]:
    for row in _entries(database, {"userId": 1, "period": 1, "score": 1, "_id": 0}):
        if kind_of(row["period"]) == kind:
            yield id_text(row["userId"]), row["period"], int(row["score"])


def _entries(database: Database[Any], fields: Document) -> Iterator[Document]:
    for name in (ENTRIES, *partitions(database)):
        yield from database[name].find({}, fields)


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
