"""Ranges of the ledger as tasks: a worker adds what is due in one, and the run says how much may be taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lbmigrate.backfill.tasks import chunk_of, chunk_row
from lbmigrate.ledger.budget import AskedBudget, Budget
from lbmigrate.ledger.settle import Action, Found, actions, take_anything
from lbmigrate.ledger.user_ids import AskedUserType, OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import passes
from lbmigrate.passes.passes import Claimed
from lbmigrate.reconcile.chunk import STRANGERS, Doubt, settle
from lbmigrate.records import Document, Reconciled
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import Ask, Job, Way


@dataclass(frozen=True, slots=True)
class Outcome:
    """A chunk that is settled, in how many attempts and seconds."""

    chunk: Claimed
    attempts: int
    seconds: float
    found: Found

    @property
    def counts(self) -> Reconciled:
        return Reconciled(self.found.sources, self.found.adjusted)


@dataclass(frozen=True)
class Settlement(Job[Claimed, Outcome]):
    """How the ranges of one action are settled; a `budget` may refuse what would be taken back."""

    NAME: ClassVar[str] = "settle"
    ASKS: ClassVar[bool] = True
    COUNTS: ClassVar[bool] = True

    context: Context
    action: Action
    one_type: OneUserType
    doubt: Doubt
    budget: Budget | None = None

    def here(self, chunk: Claimed) -> Outcome:
        began, tried = self.context.pace.clock(), chunk.tried

        def attempt() -> Found:
            nonlocal tried
            tried += 1
            doubted = Doubt.RETRY if tried > 1 and self.doubt is Doubt.NOTHING else self.doubt
            taking = self.budget.take if self.budget else take_anything
            return settle(self.context, self.action, chunk.bounds, self.one_type, doubted, taking)

        found = retrying(attempt, attempts=self.context.config.backfill.attempts)
        return Outcome(chunk, tried, self.context.pace.clock() - began, found)

    def task(self, chunk: Claimed) -> Document:
        asked = {"doubt": self.doubt.value, "places": self.one_type.places, "asked": self.budget is not None}
        return {"action": self.action.name, **chunk_row(chunk), **asked}

    def came_to(self, chunk: Claimed, found: Document) -> Outcome:
        told = {**found["found"], "reasons": Counter(found["reasons"]), "users": dict.fromkeys(found["users"])}
        return Outcome(chunk, found["attempts"], found["seconds"], Found(**told))

    def again(self, chunk: Claimed) -> Claimed:
        return passes.claimed_again(self.context, chunk)

    def answer(self, asked: Document) -> Document:
        if "source" in asked:
            return self.one_type.answer(asked)
        return (self.budget or Budget(self.context)).answer([self.action], asked)


class _WatchedBudget(AskedBudget):
    """The budget of a worker, which looks at the lock once more before anything is added."""

    def __init__(self, context: Context, ask: Ask | None) -> None:
        self._context, self._asks = context, ask is not None
        if ask:
            super().__init__(ask)

    def take(self, action: Action, due: Sequence[Document]) -> None:
        if self._asks:
            super().take(action, due)
        if due:
            self._context.state.forgotten()  # raises LeaseLost where another run took over meanwhile


def _settle(context: Context, task: Document, ask: Ask) -> Document:
    action = next(each for each in [*actions(context.config), STRANGERS] if each.name == task["action"])
    one_type = AskedUserType(context, task["places"], ask)
    budget = _WatchedBudget(context, ask if task["asked"] else None)
    done = Settlement(context, action, one_type, Doubt(task["doubt"]), budget).here(chunk_of(task))
    found = {name: getattr(done.found, name) for name in ("sources", "adjusted", "strays", "refused", "held")}
    known = {"reasons": dict(done.found.reasons), "users": list(done.found.users)}
    told = {"attempts": done.attempts, "seconds": done.seconds, "documents": done.found.sources}
    return {**told, "found": found, **known}


WAYS: dict[str, Way] = {Settlement.NAME: _settle}
