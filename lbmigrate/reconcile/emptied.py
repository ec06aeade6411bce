"""Sources that have nothing in scope any more: a cleared collection or a mistyped `where` far oftener than a wish.

To take all of their actions back is one step from a board of nothing, so it must be agreed to by its number.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbmigrate.errors import Refused
from lbmigrate.ledger.settle import Action, actions
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes import chunks, likely
from lbmigrate.reconcile import places
from lbmigrate.reconcile.chunk import look
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

COMMAND = "lbmigrate reconcile --allow"


@dataclass(frozen=True, slots=True)
class Emptied:
    """An action that no document counts for any more, and how many of the ledger would be taken back."""

    action: Action
    number: int

    def told(self, context: Context) -> str:
        """What has nothing in scope, and why if that is seen."""
        sources = self.action.sources
        missed = " and ".join(f"no document of {each.collection} meets {each.where}" for each in sources)
        why = "; ".join(filter(None, (likely.reason(context, each) for each in sources)))
        return f"{missed}{f' ({why})' if why else ''}, so all of {self.action.name} would be taken back"


def refuse_emptied(context: Context, allowed: int) -> None:
    """Raise Refused where more than `allowed` actions would be taken back because nothing of their sources is left."""
    found = [Emptied(action, number) for action in actions(context.config) if (number := _voided(context, action))]
    total = sum(each.number for each in found)
    if total > allowed:
        hint = f"correct `where`, or bring the documents back; if they are meant to go: {COMMAND} {total}"
        told = "; ".join(each.told(context) for each in found)
        raise Refused(f"{told}: {amount(total, 'action')}", hint)


def _voided(context: Context, action: Action) -> int:
    """How many actions would be voided for want of any document; costs nothing more where there is one."""
    if any(context.sources[each.collection].find_one(each.where, {"_id": 1}) for each in action.sources):
        return 0
    size, one_type = context.config.backfill.chunk_size, OneUserType(context)
    ranges = (chunks.cut(context.target[EVENTS], span, lambda: size, None) for span in places.spans(context, action))
    due = (found.due for each in ranges for bounds in each for found in look(context, action, bounds, one_type))
    return sum(event["meta"]["reason"] == "voided" for part in due for event in part)
