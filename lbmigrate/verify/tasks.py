"""Users and ranges of sources as tasks: a worker compares some of them, and the run looks again at what it tells.

Where nobody helps the run compares them itself, one after the other, when their results are asked for.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import LEFT, Ask, Job, Way, others
from lbmigrate.verify import choose, entries
from lbmigrate.verify.actions import Ledger, checked, ledgers
from lbmigrate.verify.ahead import Ahead
from lbmigrate.verify.checked import Checked
from lbmigrate.verify.entries import Compared, Sums
from lbmigrate.verify.look import USERS_AT_ONCE
from lbmigrate.verify.result import mismatch_of, to_run

T = TypeVar("T")
R = TypeVar("R")
PARTS = 8  # of users in one task
MOST_TOLD = 2_000  # mismatches that a worker hands back; where there are more, the run looks there itself
Timed = Iterator[tuple[R, float]]  # results one after the other, with the seconds that each took


class Comparing(Job[T, tuple[T, Timed[R]]], Generic[T, R]):
    """Work of a verification: an item, and what it comes to when that is asked for."""

    def hands(self) -> int:
        """So many of others; the run itself looks only where nobody else does."""
        return others(self.context)


# --- entries -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Users:
    """Users in order, all of those behind `after` up to the last of them."""

    after: Any
    users: Sequence[Any]

    def parts(self) -> Iterator[Sequence[Any]]:
        """As they are compared together."""
        return (self.users[start : start + USERS_AT_ONCE] for start in range(0, len(self.users), USERS_AT_ONCE))


def everybody(context: Context, after: Any, number: Callable[[], int]) -> Iterator[Users]:
    """Everybody behind `after`, `number()` users at a time."""
    users = choose.everybody(context, after)
    while some := list(islice(users, number())):
        yield Users(after, some)
        after = some[-1]


@dataclass
class Entries(Comparing[Users, Compared]):
    """The entries of users beside the ledger, a result for each of their parts. `kind` is the type of their ids."""

    NAME: ClassVar[str] = "compare"

    context: Context
    kind: str | None
    _ahead: Ahead | None = field(default=None, repr=False)
    _reached: Any = None

    def size(self) -> int:
        """How many users to take at a time."""
        return USERS_AT_ONCE * (PARTS if self.hands() > 1 else 1)

    def here(self, item: Users) -> tuple[Users, Timed[Compared]]:
        return item, self._compared(item)

    def _compared(self, item: Users) -> Timed[Compared]:
        if self._ahead is None or self._reached != item.after:
            self._ahead = Ahead(self.context, item.after)
        for some in item.parts():
            began = time.monotonic()
            found = entries.compare(self.context, some, self.kind, self._ahead.of(some))
            self._reached = some[-1]
            yield found, time.monotonic() - began

    def task(self, item: Users) -> Document:
        return {"after": item.after, "users": list(item.users), "userKind": self.kind}

    def came_to(self, item: Users, found: Document) -> tuple[Users, Timed[Compared]]:
        return item, ((_compared_of(row), row["seconds"]) for row in found["parts"])


def _compare(context: Context, task: Document, _: Ask) -> Document:
    rows: list[Document] = []
    told = 0
    for found, seconds in Entries(context, task["userKind"]).here(Users(task["after"], task["users"]))[1]:
        told += len(found.wrong)
        if told > MOST_TOLD:
            return {LEFT: True}
        rows.append({**_compared_row(found), "seconds": seconds})
    return {"parts": rows, "documents": sum(row["entries"] for row in rows)}


def _compared_row(found: Compared) -> Document:
    sums = [[period, *(getattr(each, name) for name in Sums.__slots__)] for period, each in found.periods.items()]
    wrong = list(map(to_run, found.wrong))
    return {"users": found.users, "entries": found.entries, "events": found.events, "wrong": wrong, "periods": sums}


def _compared_of(row: Document) -> Compared:
    sums: dict[str, Sums] = defaultdict(Sums)
    sums |= {period: Sums(*numbers) for period, *numbers in row["periods"]}
    return Compared(row["users"], row["entries"], row["events"], list(map(mismatch_of, row["wrong"])), sums)


# --- sources -------------------------------------------------------------------------------------------------------

Range = tuple[Bounds, bool, bool]  # with whether it is the first of its span, and whether it is the last


@dataclass(frozen=True)
class Ranges(Comparing[Range, Checked]):
    """Ranges of a collection that an action is scored from beside the ledger; `at` is when the look at them began."""

    NAME: ClassVar[str] = "check"

    context: Context
    ledger: Ledger
    collection: str
    kind: str | None
    at: dt.datetime

    def here(self, item: Range) -> tuple[Range, Timed[Checked]]:
        return item, self._checked(item)

    def _checked(self, item: Range) -> Timed[Checked]:
        began = time.monotonic()
        yield checked(self.ledger, self.collection, *item), time.monotonic() - began

    def task(self, item: Range) -> Document:
        bounds, first, last = item
        asked = {"action": self.ledger.action, "collection": self.collection, "userKind": self.kind, "at": self.at}
        return {"bounds": bounds.row(), "first": first, "last": last, **asked}

    def came_to(self, item: Range, found: Document) -> tuple[Range, Timed[Checked]]:
        return item, iter([(_checked_of(found), found["seconds"])])


def _check(context: Context, task: Document, _: Ask) -> Document:
    context = replace(context, clock=lambda: task["at"])  # what is in the future is what was when the look began
    ledger = next(each for each in ledgers(context, task["userKind"]) if each.action == task["action"])
    item = (Bounds.from_row(task["bounds"]), task["first"], task["last"])
    work = Ranges(context, ledger, task["collection"], task["userKind"], task["at"])
    found, seconds = next(work.here(item)[1])
    return {LEFT: True} if len(found.wrong) > MOST_TOLD else {**_checked_row(found), "seconds": seconds}


def _checked_row(found: Checked) -> Document:
    counts = {"documents": found.documents, "events": found.events, "pending": found.pending}
    points, wrong = list(map(list, found.points.items())), list(map(to_run, found.wrong))
    return {**counts, "points": points, "wrong": wrong, "skipped": found.skipped}


def _checked_of(row: Document) -> Checked:
    wrong = list(map(mismatch_of, row["wrong"]))
    points = Counter(dict(row["points"]))
    return Checked(row["documents"], row["events"], row["pending"], wrong, points, row["skipped"])


WAYS: dict[str, Way] = {Entries.NAME: _compare, Ranges.NAME: _check}
