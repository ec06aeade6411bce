"""A range of the ledger against its sources: what they are worth now, and adjustments for the difference.

What looks wrong is read again before anything is added: first the ledger, then the source. Whoever changes a source
after that adds to the ledger later still: either there first, and the id is taken here, or there second, and it is
taken there. One whose id is taken reads the ledger and decides again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import compress
from typing import Any

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import forget
from lbmigrate.ledger.events import insert_each
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes.chunks import Bounds
from lbmigrate.reconcile.desired import desired
from lbmigrate.reconcile.groups import Groups, Part, grouped, of_groups, parts
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import above, adjustments, base_id, is_forgotten
from lbmigrate.rules.strays import is_apart, stray_of
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import id_type

LONG_ENOUGH = 200  # characters of an `_id` that is only told
CONFLICTS = 50  # an id that is taken this often in a row is not a race any more


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name, and the sources that score it, the first that has an event for a document goes first.

    Without sources it stands for all that the ledger has of actions that no source has.
    """

    name: str
    sources: tuple[Source, ...]


def actions(config: Config) -> list[Action]:
    """Every action of a configuration once."""
    names = dict.fromkeys(source.action for source in config.sources)
    return [Action(name, tuple(s for s in config.sources if s.action == name)) for name in names]


STRANGERS = Action("actions without a source", ())


class Doubt(Enum):
    """Whose entries may be wrong already, and why."""

    NOTHING = "nothing"
    RETRY = "retry"  # an attempt that was not checkpointed may have added any adjustment
    EVERYTHING = "everything"  # other rules may also make other entries of the same events


@dataclass(slots=True)
class Found:
    """What a range of the ledger came to: how many sources, which were adjusted and how, and whom that touches.

    `strays` are events that count and are about no source: their `_id` does not fit their fields, or no source has
    their action. `refused` are adjustments that the server did not take, with its reasons.
    """

    sources: int = 0
    adjusted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    users: dict[Any, None] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take in what another part of the range came to."""
        self.sources += other.sources
        self.adjusted += other.adjusted
        self.reasons += other.reasons
        self.users |= other.users
        self.strays += other.strays
        self.refused += other.refused


@dataclass(frozen=True, slots=True)
class Due:
    """How many sources a part of the ledger is about, and the adjustments that are due there."""

    sources: int
    due: list[Document]


def look(context: Context, action: Action, bounds: Bounds, one_type: OneUserType) -> Iterator[Due]:
    """What is due in a range of the ledger, part by part. Writes nothing."""
    for part in parts(context, bounds):
        groups, doubtful, _ = _doubtful(context, action, part)
        yield Due(len(groups), _due(context, action, doubtful, one_type)[1])


def settle(context: Context, action: Action, bounds: Bounds, one_type: OneUserType, doubt: Doubt) -> Found:
    """Add what is due in a range of the ledger.

    Touched are the users of adjustments that are new, or that somebody may have added who died before the roll-up.
    """
    _bury_late(context, bounds)
    total = Found()
    for part in parts(context, bounds):
        groups, doubtful, strays = _doubtful(context, action, part, doubt)
        found = fix(context, action, doubtful, one_type)
        seen = (event for group in groups.values() for event in group)
        found.users |= dict.fromkeys(e["userId"] for e in seen if doubt is Doubt.EVERYTHING or _is_live(e))
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


def fix(context: Context, action: Action, bases: Sequence[str], one_type: OneUserType) -> Found:
    """Add what is due for the sources whose first events have these ids; those without an event are left out."""
    found, adjusted = Found(len(bases)), set[str]()
    ledger = context.target[EVENTS]
    for _ in range(CONFLICTS):
        events, due = _due(context, action, bases, one_type)
        inserted = insert_each(ledger, due)
        taken, refused = {event["_id"] for event in inserted.taken}, inserted.refused
        found.users |= dict.fromkeys(e["userId"] for e in [*events, *due] if "reason" in e["meta"])
        added = [event for event in due if event["_id"] not in taken and event["_id"] not in refused]
        adjusted.update(map(_base, added))
        found.reasons.update(event["meta"]["reason"] for event in added)
        found.refused += refused.values()
        bases = list(dict.fromkeys(_base(event) for event in due if event["_id"] in taken))
        if not bases:
            found.adjusted = len(adjusted)
            return found
    raise LbmigrateError(f"{len(bases)} sources of {action.name} change faster than they can be read", "try again")


def _is_live(event: Document) -> bool:
    """Whether live code has adjusted this."""
    return "reason" in event["meta"] and event["meta"].get("origin") != "backfill"


def _base(adjustment: Document) -> str:
    return str(adjustment["_id"]).rpartition("#")[0]


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
        or adjustments(group, wanted.get(base), ids, group=_group_name(base))
    ]
    suspects = strays if action.sources else groups.keys()
    worth = {base: sum(event["points"] for event in groups[base]) for base in suspects}
    counting = (event["_id"] for base, points in worth.items() if points for event in groups[base])
    return groups, doubtful, [stray_of(name)[0][:LONG_ENOUGH] for name in counting]


def _due(
    context: Context, action: Action, bases: Sequence[str], one_type: OneUserType
) -> tuple[list[Document], list[Document]]:
    """All events of some sources, and those to be added. Decided by what the primary has, whatever is read usually.

    A user of another type than all others is given nothing; what the ledger gave one may be taken back.
    """
    events = of_groups(context, bases)
    taken, (groups, odd, _) = {event["_id"] for event in events}, grouped(context, events)
    groups = {base: groups[base] for base in bases if base in groups}
    wanted = desired(_at_primary(context), action.sources, groups, odd)
    origin = "live" if context.live else "backfill"
    due = [
        event
        for base, group in groups.items()
        for event in adjustments(group, wanted.get(base), taken, origin, _group_name(base))
    ]
    standing = [event for group in groups.values() for event in group]
    theirs = {exact_text(event["userId"]) for event in standing}
    knows = (one_type.knows(event["userId"]) or exact_text(event["userId"]) in theirs for event in due)
    return standing, list(compress(due, knows))


def _group_name(base: str) -> str:
    """What adjustments are named by where the first event does not have that name."""
    return base if is_apart(base) else ""


def _at_primary(context: Context) -> Context:
    backfill = context.config.backfill.model_copy(update={"read_preference": "primary"})
    return replace(context, config=context.config.model_copy(update={"backfill": backfill}))
