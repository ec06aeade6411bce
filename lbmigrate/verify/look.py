"""What both levels of a verification do: compare, note what looks wrong, and look at that again before it counts."""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Compared, Document, Piece
from lbmigrate.run import throttle
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held
from lbmigrate.schema import present_collections
from lbmigrate.values.id_text import exact_text
from lbmigrate.verify import choose, entries, structure, under_way
from lbmigrate.verify.actions import Ledger, checked, ledgers
from lbmigrate.verify.again import persisting
from lbmigrate.verify.bound import bound
from lbmigrate.verify.checked import Checked
from lbmigrate.verify.kinds import Kind
from lbmigrate.verify.result import Bound, Mismatch
from lbmigrate.verify.totals import Totals

USERS_AT_ONCE = 500
REMEMBERED = 100_000  # mismatches, so that none is told twice
LOOKS = 2
Late = Callable[[Mapping[str, Sequence[Any]]], tuple[Piece, list[Any]]]
HELD = 1_000  # mismatches that are looked at again together

T = TypeVar("T")


@dataclass(slots=True)
class Look:
    """One verification under way.

    `late` adds the events of documents that have none although they are in scope, given their ids by their actions;
    the users concerned come back. A look that only looks has no such thing.
    """

    context: Context
    options: VerifyOptions
    covers: str | None
    totals: Totals = field(default_factory=Totals)
    began: float = field(default_factory=time.monotonic)
    drawn: choose.Chosen | None = None
    wrong_users: set[str] = field(default_factory=set)
    kind: str | None = None
    at: dt.datetime = dt.datetime.min  # when it began, by the run's clock
    ledgers: Sequence[Ledger] = ()
    suspects: list[Mismatch] = field(default_factory=list)
    coming: set[str] = field(default_factory=set)  # users of whom events came in that their entries do not have yet
    outdated: set[str] = field(default_factory=set)  # and those who are shown otherwise than their documents say
    late: Late | None = None
    taken: int = 0  # documents that came in while their source was read
    _gate: Gate | None = None
    _known: set[tuple[str, ...]] = field(default_factory=set)

    def begin(self) -> Iterator[Piece]:
        """What must be known before anything is looked at."""
        self.at, self.kind = self.context.clock(), kind_of_users(self.context)
        self.ledgers = ledgers(self.context, self.kind)
        self._gate = throttle.gate(self.context)
        for reason in self._gate.unreadable():
            yield Piece("throttle", warning=f"{reason}; the run does not wait for it")

    def shape(self) -> Iterator[Piece]:
        """Collections, indexes, and the board's query for the overall board and the newest other period."""
        self._shape()
        yield from self.settled("structure")

    def bound(self) -> Bound | None:
        """What the sample says of everybody; nothing where everybody was looked at or nobody was drawn by lot."""
        if self.drawn is None or not self.drawn.drawn:
            return None
        chosen = self.drawn.users
        drawn = chosen if len(chosen) == self.drawn.population else self.drawn.drawn  # all of them, by lot or not
        wrong = sum(exact_text(user) in self.wrong_users for user in drawn)
        return bound(self.drawn.population, len(drawn), wrong, self.options.confidence)

    def collections(self, ledger: Ledger) -> list[str]:
        """Those that an action is scored from, as far as they are there."""
        there = present_collections(self.context.sources)
        return [name for name in ledger.collections if name in there]

    def through(self, items: Iterable[T]) -> Iterator[T | Held]:
        """Each item when the throttle lets it through."""
        assert self._gate is not None
        return self._gate.through(items)

    def compare(self, users: list[Any], rows: Iterable[Document] | None = None) -> Compared:
        """Compare the entries of some users; `rows` are these, where they have been read already."""
        began = time.monotonic()
        found = entries.compare(self.context, users, self.kind, rows)
        return self.compared(found, time.monotonic() - began)

    def compared(self, found: entries.Compared, seconds: float) -> Compared:
        """Take in what some users came to."""
        self.totals.compared(found)
        self.suspects += found.wrong
        self._noted(seconds, found.entries + found.events)
        self.totals.part("entries", found.entries, found.entries, 0, "entries", seconds)
        return Compared(found.users, found.entries)

    def check(self, ledger: Ledger, name: str, bounds: Bounds, first: bool = False, last: bool = False) -> Checked:
        """Compare a range of a collection that an action is scored from with the ledger."""
        began = time.monotonic()
        found = checked(ledger, name, bounds, first, last)
        self.take(found, time.monotonic() - began)
        return found

    def take(self, found: Checked, seconds: float) -> None:
        """Take in what a part of the ledger and its sources came to."""
        if found.skipped:
            self.totals.skipped.append(found.skipped)
            return
        self.totals.checked(found)
        self.suspects += found.wrong
        self.totals.part("sources", found.documents or found.events, 0, 0, "documents", seconds)
        self._noted(seconds, found.documents + found.events)

    def _noted(self, seconds: float, documents: int) -> None:
        assert self._gate is not None
        self._gate.note(seconds, documents)
        self.totals.timed(time.monotonic() - self.began)

    def settled(self, part: str, *, few: bool = False) -> Iterator[Piece]:
        """What looked wrong is looked at again, and counts if it persists; with `few` only when there is enough."""
        if not self.suspects or (few and len(self.suspects) < HELD):
            return
        suspects, self.suspects = self.suspects, []
        standing = suspects if part == "structure" else self._standing(suspects)
        if self.late and (missing := {id(each): each for each in standing if each.is_unscored}):
            taken = yield from self._taken(self.late, list(missing.values()))
            standing = [*(each for each in standing if id(each) not in missing), *taken]
        new = self._new(standing)
        self.totals.add(new)
        wrong = [each for each in new if not each.finding]
        self.outdated |= {exact_text(each.user) for each in new if each.finding and each.kind is Kind.SNAPSHOT}
        self.totals.part(part, 0, 0, len(wrong), part, 0.0)
        self.wrong_users |= {exact_text(each.user) for each in wrong if each.user is not None}
        if new:
            yield Piece(part, found=tuple(new))

    def _taken(self, late: Late, missing: list[Mismatch]) -> Generator[Piece, None, list[Mismatch]]:
        """Have them taken in, and look at them and at their users again; what is wrong with them then."""
        ids: dict[str, list[Any]] = defaultdict(list)
        for each in missing:
            ids[str(each.id).partition(":")[0]].append(each.source)
        piece, users = late(ids)
        yield piece
        self.covers = self.context.state.last_emission()
        compared = [entries.compare(self.context, some, self.kind).wrong for some in parts(iter(users), USERS_AT_ONCE)]
        standing = self._standing([*missing, *(each for some in compared for each in some)])
        self.taken += len(missing) - sum(each.is_unscored for each in standing)
        return standing

    def _standing(self, suspects: list[Mismatch]) -> list[Mismatch]:
        """What is explained, and of the rest what persists and does not wait for the next backfill.

        An event that comes in between two readings looks like a mismatch, so what was under way is looked at once more.
        """
        found = [each for each in suspects if each.finding]
        standing = [each for each in suspects if not each.finding]
        for _ in range(LOOKS):
            standing = persisting(self.context, self.ledgers, self.kind, standing)
            coming = under_way.users_of(self.context, standing)
            self.coming |= coming.keys()
            left = [each for each in standing if not under_way.is_under_way(each, coming)]
            if not left or len(left) == len(standing):
                return [*found, *left]
            standing = left
        return [*found, *standing]

    def _new(self, standing: list[Mismatch]) -> list[Mismatch]:
        """Each mismatch once, as far as that many can be remembered: several ways lead to one."""
        found = {each.key: each for each in standing if each.key not in self._known}
        if len(self._known) < REMEMBERED:
            self._known |= found.keys()
        return list(found.values())

    def _shape(self) -> None:
        began = time.monotonic()
        self.suspects += structure.structure(self.context)
        self.totals.part("structure", 1, 1, 0, "database", time.monotonic() - began)
        began = time.monotonic()
        asked = ["global", *filter(None, [choose.newest_period(self.context)])]
        for period in asked:
            self.suspects += structure.query(self.context, period, max(self.options.top, 10))
        self.totals.part("query", len(asked), len(asked), 0, "queries", time.monotonic() - began)


def parts(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items."""
    while some := list(islice(items, size)):
        yield some
