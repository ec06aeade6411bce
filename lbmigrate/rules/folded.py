"""Entries of one kind of period as columns, and as documents. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from bson.int64 import Int64

from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.rules.numbered import Ints
from lbmigrate.schema import REACHED
from lbmigrate.values.id_text import id_texts

COLUMNS = ("owner", "label", "score", "streak", "stands", "events", "last")


@dataclass(frozen=True, slots=True)
class Folded:
    """Entries of one kind of period, as columns in step: a row for each user and period.

    `owner` and `label` are places in `users` and `labels`, `last` is the newest time, naive UTC. `stands` is how many
    actions stand, and `events` how many events the ledger has. A `score` need not fit into 64 bits (dtype object). With
    moments `reached` says since when it is what it is.
    """

    users: list[Any]
    owner: Ints
    labels: list[str]
    label: Ints
    score: Ints
    streak: Ints
    stands: Ints
    events: Ints
    last: npt.NDArray[np.datetime64]
    reached: list[Any] | None = None

    def documents(self) -> list[Document]:
        """The rows as `ranking.entries` has them."""
        names = id_texts(self.users)
        columns = (self.owner.tolist(), map(self.labels.__getitem__, self.label.tolist()), _int64s(self.score),
                   self.streak.tolist(), _int64s(self.stands), self.last.tolist())  # fmt: skip
        made: list[Document] = [
            {
                "_id": f"{period}:{names[owner]}",
                "userId": self.users[owner],
                "period": period,
                "score": score,
                "streak": streak,
                "events": events,
                "lastEventAt": last,
            }
            for owner, period, score, streak, events, last in zip(*columns, strict=True)
        ]
        for row in np.flatnonzero(self.stands != self.events).tolist():
            made[row]["counted"] = Int64(self.events[row])
        for entry, moment in zip(made, self.reached, strict=True) if self.reached else ():
            entry[REACHED] = moment
        return made

    def row(self, number: int) -> Document:
        """One of them."""
        here = slice(number, number + 1 or None)
        reached = None if self.reached is None else self.reached[here]
        return replace(self, reached=reached, **{name: getattr(self, name)[here] for name in COLUMNS}).documents()[0]


def _int64s(values: Ints) -> list[Int64]:
    """Wrap numbers for BSON; equal ones share an object, since making one costs ten times what finding it does."""
    numbers = values.tolist()
    wrapped = {number: Int64(clipped(number)) for number in set(numbers)}
    return [wrapped[number] for number in numbers]


def clipped(score: float) -> int:
    """A score as an entry can hold it: one that would not fit into 64 bits is the largest, or the lowest, that does."""
    return max(-LARGEST_SCORE, min(int(score), LARGEST_SCORE))
