"""The second half of a backfill: everyone whom emitted chunks touched is rolled up into entries.

Of most it is known what is new of them, so that is folded in. The whole ledger of all others is read.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from lbmigrate.backfill import tasks
from lbmigrate.ledger import walk
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.records import Checkpoint, Document, Piece, RolledUp
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import evenly, shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News, overlapped

STEP = "step:4"
USERS_IN_MEMORY = 50_000  # beyond this many touched users the roll-up walks the whole ledger instead of a list
AT_ONCE = 500  # users who are folded in one portion, at most
LEAST = 100  # users; fewer are not worth what each portion asks besides
Others = Callable[[], list[Any] | None]  # tells of more users, or, with None, that it is to be everyone


def roll_up(context: Context, gate: Gate, others: Others = list) -> Iterator[Piece]:
    """Roll up everyone whom emitted chunks touched; a chunk stays `emitted` until all of them are done.

    The `others` are not asked for where it is everyone anyway.
    """
    until = context.state.last_closed()
    touched = _touched(context)
    if not touched.everyone:
        yield from _roll_up_listed(context, touched, others, gate)
    if touched.everyone:
        yield from _roll_up_everyone(context, until or context.clock(), gate)
    if until is not None and not context.stopping():
        yield Piece("entries", unit="users", checkpoint=RolledUp(until))


@dataclass(slots=True)
class _Touched:
    """Users to roll up, each once: those of whom is `known` what is new of them, and all others; or `everyone`."""

    known: list[Any] = field(default_factory=list)
    others: dict[Any, None] = field(default_factory=dict)
    everyone: bool = False

    def __len__(self) -> int:
        return len(self.known) + len(self.others)

    def add(self, more: Iterable[Any] | None) -> None:
        """Take in others; with None everyone."""
        self.everyone = self.everyone or more is None
        self.others |= dict.fromkeys(more or ())


def _touched(context: Context) -> _Touched:
    """Every user of an emitted chunk; everyone where a chunk says so, or they are too many to hold."""
    chunks: Counter[Any] = Counter()
    for some in context.state.touched_users():
        chunks.update(some or ())
        if some is None or len(chunks) > USERS_IN_MEMORY:
            return _Touched(everyone=True)
    known = context.additions.known(chunks) if context.additions else []
    left = chunks.keys() - set(known) if known else chunks.keys()
    return _Touched(known, {user: None for user in chunks if user in left})


def _roll_up_listed(context: Context, users: _Touched, others: Others, gate: Gate) -> Iterator[Piece]:
    done = 0
    for came in chain(_folded(context, users, others, gate), _rolled(context, users, gate)):
        if isinstance(came, Held | News):
            yield came.on(Piece("entries", done, len(users), unit="users"))
            continue
        done += came.users
        yield Piece("entries", done, len(users), unit="users", entries=came.written)


def _folded(context: Context, users: _Touched, others: Others, gate: Gate) -> Iterator[Rolled | Held | News]:
    """What comes of those of whom is known what is new. Whose ledger is to be read after all is put to the others.

    These are asked for last: while the hands wait for what the server has of those who are known.
    """
    some = evenly(len(users.known), AT_ONCE, context.hands(), LEAST)
    selections = gate.through(chain(walk.selections(users.known, some), _meanwhile(users, others)))
    for came in overlapped(partial(tasks.fold, context), selections, context.hands):
        if isinstance(came, Held | News):
            yield came
            continue
        users.add(came[1])
        yield came[0]


def _meanwhile(users: _Touched, others: Others) -> Iterator[Document]:
    """No selection of users: it is only noted which others there are."""
    users.add(others())
    yield from ()


def _rolled(context: Context, users: _Touched, gate: Gate) -> Iterator[Rolled | Held | News]:
    selections = () if users.everyone else walk.selections(list(users.others))
    for came in shared_out(tasks.RollUp(context), gate.through(selections)):
        yield came if isinstance(came, Held | News) else came[1]


def _roll_up_everyone(context: Context, until: dt.datetime, gate: Gate) -> Iterator[Piece]:
    """Walk the ledger in order of its users, remembering up to which user everything is done."""
    kept = context.state.get(STEP).get("rolling") or {}
    after = kept.get("after") if kept.get("until") == until else None
    begun: list[Document] = []
    all_users = walk.everyone(context.target, after)
    done = 0
    for outcome in shared_out(tasks.RollUp(context), gate.through(_noted(all_users, begun))):
        if isinstance(outcome, Held | News):
            yield outcome.on(Piece("entries", done, unit="users"))
            continue
        users, rolled = outcome
        begun.remove(users)
        done += rolled.users
        frontier = begun[0].get("$gt", after) if begun else users["$lte"]
        rolling = Checkpoint(STEP, {"rolling": {"until": until, "after": frontier}})
        yield Piece("entries", done, unit="users", checkpoint=rolling, entries=rolled.written)


def _noted(selections: Iterator[Document], begun: list[Document]) -> Iterator[Document]:
    for selection in selections:
        begun.append(selection)
        yield selection
