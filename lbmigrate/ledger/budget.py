"""How much of each action may be taken back before somebody is asked: a share of it, `reconcile.at_most`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from lbmigrate.errors import Refused
from lbmigrate.ledger.settle import Action
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import takes_back
from lbmigrate.rules.event import of_action, of_other_actions
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

FEW = 20  # actions that a reconciliation takes back without being asked, however small the source
MANY = 100  # the same of those who settle what they look at: more than that is hardly what an app has done by hand
NEXT = "lbmigrate reconcile: it counts what would go, and names the number to agree to"


class TooMuch(Refused):
    """More would be taken back than may be; what was settled before that stays."""


class Budget:
    """What may be taken back while one pass goes on, by action; several threads take from it.

    `few` are never asked about; `allowed` were agreed to.
    """

    def __init__(self, context: Context, few: int = FEW, allowed: int = 0) -> None:
        self._context, self._few, self._allowed = context, few, allowed
        self._taken: dict[str, int] = {}
        self._most: dict[str, float] = {}
        self._lock = Lock()

    def take(self, action: Action, due: Sequence[Document]) -> None:
        """Raise TooMuch before more is taken back than may be. What an action has is counted only where it matters."""
        self.take_number(action, sum(map(takes_back, due)))

    def take_number(self, action: Action, going: int) -> None:
        """The same, for so many actions."""
        with self._lock:
            taken = self._taken.get(action.name, 0) + going
            if going and taken > self._few + self._allowed and taken > self._limit(action):
                share = f"reconcile.at_most allows ({self._context.config.reconcile.at_most:.1%})"
                raise TooMuch(f"more of {action.name} would be taken back than {share}", NEXT)
            self._taken[action.name] = taken

    def answer(self, actions: Sequence[Action], asked: Document) -> Document:
        """What another process is told that wants to take back so many of one of these actions (`AskedBudget`)."""
        try:
            self.take_number(next(each for each in actions if each.name == asked["action"]), asked["number"])
        except TooMuch as error:
            return {"granted": False, "told": error.message}
        return {"granted": True}

    def _limit(self, action: Action) -> float:
        if action.name not in self._most:
            within = [of_action(action.name)] if action.sources else of_other_actions(self._context.config)
            total = sum(self._context.target[EVENTS].count_documents(each) for each in within)
            self._most[action.name] = total * self._context.config.reconcile.at_most + self._allowed
        return self._most[action.name]


class AskedBudget(Budget):
    """The same in a worker: it is the run that knows what all of them take back."""

    def __init__(self, ask: Callable[[Document], Document]) -> None:
        self._ask = ask

    def take_number(self, action: Action, going: int) -> None:
        if going and not (said := self._ask({"action": action.name, "number": going}))["granted"]:
            raise TooMuch(said["told"], NEXT)
