"""A range of the ledger against its sources: what they are worth now, and adjustments for the difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lbmigrate.ledger import forget
from lbmigrate.ledger.desired import desired
from lbmigrate.ledger.groups import Groups, grouped, of_groups
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.settle import Action, Found, Taking, due_of, fix, group_name, is_live, take_anything
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes.chunks import Bounds
from lbmigrate.reconcile.parts import Part, parts
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import above, adjustments, base_id, is_forgotten, stand
from lbmigrate.rules.strays import is_apart, stray_of
from lbmigrate.run.context import Context
from lbmigrate.values.ids import id_type

LONG_ENOUGH = 200  # characters of an `_id` that is only told


STRANGERS = Action("actions without a source", ())


class Doubt(Enum):
    """Whose entries may be wrong already, and why."""

    NOTHING = "nothing"
    RETRY = "retry"  # an attempt that was not checkpointed may have added any adjustment
    EVERYTHING = "everything"  # other rules may also make other entries of the same events


@dataclass(frozen=True, slots=True)
class Due:
    """How many sources a part of the ledger is about, and the adjustments that are due there.

    `standing` is how many of these sources count, `worth` the points that the ledger has for them.
    """

    sources: int
    due: list[Document]
    standing: int = 0
    worth: int = 0


def look(context: Context, action: Action, bounds: Bounds, one_type: OneUserType) -> Iterator[Due]:
    """What is due in a range of the ledger, part by part. Writes nothing."""
    for part in parts(context, bounds):
        groups, doubtful, _ = _doubtful(context, action, part)
        standing = sum(_stands(group) for group in groups.values())
        worth = sum(max(0, sum(event["points"] for event in group)) for group in groups.values())
        yield Due(len(groups), due_of(context, action, doubtful, one_type)[1], standing, worth)


def _stands(group: list[Document]) -> bool:
    return sum(stand(event["meta"].get("reason"), event["points"]) for event in group) > 0


def settle(
    context: Context,
    action: Action,
    bounds: Bounds,
    one_type: OneUserType,
    doubt: Doubt,
    taking: Taking = take_anything,
) -> Found:
    """Add what is due in a range of the ledger; `taking` may refuse that before.

    Touched are the users of adjustments that are new, or that somebody may have added who died before the roll-up.
    """
    _bury_late(context, bounds)
    total = Found()
    for part in parts(context, bounds):
        groups, doubtful, strays = _doubtful(context, action, part, doubt)
        found = fix(context, action, doubtful, one_type, taking=taking)
        seen = (event for group in groups.values() for event in group)
        found.users |= dict.fromkeys(e["userId"] for e in seen if doubt is Doubt.EVERYTHING or is_live(e))
        found.sources = len(groups)
        found.strays = strays
        total.add(found)
    return total


def _bury_late(context: Context, bounds: Bounds) -> None:
    """What somebody has inserted for a user who had left is not adjusted: it gets the tombstone, as all the others."""
    leavers = Leavers(context.state)
    for part in parts(context, bounds) if leavers else ():
        found = (event for event in part.events if base_id(event) and id_type(event["userId"]))
        forget.bury(context, leavers, [event for event in found if not is_forgotten(event)])


# --- what the ledger says ------------------------------------------------------------------------------------------


def _doubtful(
    context: Context, action: Action, part: Part, doubt: Doubt = Doubt.NOTHING
) -> tuple[Groups, list[str], list[str]]:
    """The sources of a range, and those to look at closely: what differs, or may have events beyond the range.

    And the events without a source that still count for something.
    """
    events = part.events
    groups, odd, strays = grouped(context, events)
    ids = {event["_id"] for event in events}
    if apart := list(filter(is_apart, groups)):
        beyond = [event for event in of_groups(context, apart) if event["_id"] not in ids]
        groups, odd, strays = grouped(context, [*events, *beyond])
        groups = {base: group for base, group in groups.items() if any(e["_id"] in ids for e in group or [odd[base]])}
        strays &= groups.keys()
    wanted = desired(context, action.sources, groups, odd)
    doubtful = [
        base
        for base, group in groups.items()
        if above(base) > part.high
        or (doubt is not Doubt.NOTHING and len(group) > 1)
        or adjustments(group, wanted.get(base), ids, group=group_name(base))
    ]
    suspects = strays if action.sources else groups.keys()
    worth = {base: sum(event["points"] for event in groups[base]) for base in suspects}
    counting = (event["_id"] for base, points in worth.items() if points for event in groups[base])
    return groups, doubtful, [stray_of(name)[0][:LONG_ENOUGH] for name in counting]
