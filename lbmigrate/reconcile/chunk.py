"""A range of the ledger against its sources: what they are worth now, and adjustments for the difference.

What looks wrong is read again before anything is added: first the ledger, then the source. Whoever changes a source
after that adds to the ledger later still: either there first, and the id is taken here, or there second, and it is
taken there. One whose id is taken reads the ledger and decides again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import compress
from typing import Any

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import forget
from lbmigrate.ledger.events import insert_each
from lbmigrate.ledger.identify import rows_of
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.concerns import lenient
from lbmigrate.passes.chunks import Bounds
from lbmigrate.reconcile.desired import Groups, desired
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import (
    FORGOTTEN,
    above,
    adjustments,
    base_id,
    counts,
    is_forgotten,
    stray_base,
    without_number,
)
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text, id_text
from lbmigrate.values.ids import id_type, in_parts, plain_id

FIELDS = ("userId", "actionType", "points", "sourceId", "createdAt", "meta.origin", "meta.reason", f"meta.{FORGOTTEN}")
AT_ONCE = 200  # sources whose events are asked for in one query
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
    adjusted: set[str] = field(default_factory=set)
    due: list[Document] = field(default_factory=list)
    users: dict[Any, None] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(event["meta"]["reason"] for event in self.due)


def look(context: Context, action: Action, bounds: Bounds, one_type: OneUserType) -> Found:
    """What is due in a range of the ledger. Writes nothing."""
    groups, doubtful, strays = _doubtful(context, action, bounds)
    return Found(len(groups), due=_due(context, action, doubtful, one_type)[1], strays=strays)


def settle(context: Context, action: Action, bounds: Bounds, one_type: OneUserType, doubt: Doubt) -> Found:
    """Add what is due in a range of the ledger.

    Touched are the users of adjustments that are new, or that somebody may have added who died before the roll-up.
    """
    _bury_late(context, bounds)
    groups, doubtful, strays = _doubtful(context, action, bounds, doubt)
    found = fix(context, action, doubtful, one_type)
    seen = (event for group in groups.values() for event in group)
    found.users |= dict.fromkeys(e["userId"] for e in seen if doubt is Doubt.EVERYTHING or _is_live(e))
    found.sources = len(groups)
    found.strays = strays
    return found


def _bury_late(context: Context, bounds: Bounds) -> None:
    """What somebody has inserted for a user who had left is not adjusted: it gets the tombstone, as all the others."""
    leavers = Leavers(context.state)
    if leavers:
        found = (event for event in _events(context, bounds.condition()) if base_id(event) and id_type(event["userId"]))
        forget.bury(context, leavers, [event for event in found if not is_forgotten(event)])


def fix(context: Context, action: Action, bases: Sequence[str], one_type: OneUserType) -> Found:
    """Add what is due for the sources whose first events have these ids; those without an event are left out."""
    found = Found(len(bases))
    ledger = context.target[EVENTS]
    for _ in range(CONFLICTS):
        events, due = _due(context, action, bases, one_type)
        inserted = insert_each(ledger, due)
        taken, refused = {event["_id"] for event in inserted.taken}, inserted.refused
        found.users |= dict.fromkeys(e["userId"] for e in [*events, *due] if "reason" in e["meta"])
        found.due += [event for event in due if event["_id"] not in taken and event["_id"] not in refused]
        found.refused += refused.values()
        bases = list(dict.fromkeys(_base(event) for event in due if event["_id"] in taken))
        if not bases:
            found.adjusted = {_base(event) for event in found.due}
            return found
    raise LbmigrateError(f"{len(bases)} sources of {action.name} change faster than they can be read", "try again")


def _is_live(event: Document) -> bool:
    """Whether live code has adjusted this."""
    return "reason" in event["meta"] and event["meta"].get("origin") != "backfill"


def _base(adjustment: Document) -> str:
    return str(adjustment["_id"]).rpartition("#")[0]


# --- what the ledger says ------------------------------------------------------------------------------------------


def _doubtful(
    context: Context, action: Action, bounds: Bounds, doubt: Doubt = Doubt.NOTHING
) -> tuple[Groups, list[str], list[str]]:
    """The sources of a range, and those to look at closely: what differs, or may have events beyond the range.

    And the events without a source that still count for something.
    """
    events = list(_events(context, bounds.condition()))
    groups, odd, strays = _grouped(context, events)
    ids = {event["_id"] for event in events}
    wanted = desired(context, action.sources, groups, odd)
    doubtful = [
        base
        for base, group in groups.items()
        if above(base) > bounds.high
        or (doubt is not Doubt.NOTHING and len(group) > 1)
        or adjustments(group, wanted.get(base), ids)
    ]
    suspects = strays if action.sources else groups.keys()
    counting = [e["_id"] for base in suspects for e in groups[base] if sum(event["points"] for event in groups[base])]
    return groups, doubtful, counting


def _due(
    context: Context, action: Action, bases: Sequence[str], one_type: OneUserType
) -> tuple[list[Document], list[Document]]:
    """All events of some sources, and those to be added. Decided by what the primary has, whatever is read usually.

    A user of another type than all others is given nothing; what the ledger gave one may be taken back.
    """
    conditions = [{"$or": list(map(_about, some))} for some in in_parts(bases, AT_ONCE)]
    events = [event for condition in conditions for event in _events(context, condition)]
    taken, (groups, odd, _) = {event["_id"] for event in events}, _grouped(context, events)
    groups = {base: groups[base] for base in bases if base in groups}
    wanted = desired(_at_primary(context), action.sources, groups, odd)
    origin = "live" if context.live else "backfill"
    due = [event for base, group in groups.items() for event in adjustments(group, wanted.get(base), taken, origin)]
    standing = [event for group in groups.values() for event in group]
    theirs = {exact_text(event["userId"]) for event in standing}
    knows = (one_type.knows(event["userId"]) or exact_text(event["userId"]) in theirs for event in due)
    return standing, list(compress(due, knows))


def _about(base: str) -> Document:
    """The condition for the events of a source: a range of their index, which may hold others."""
    return {"_id": {"$gte": base, "$lt": above(base)}}


def _events(context: Context, condition: Document) -> Iterator[Document]:
    ledger = lenient(context.target)[EVENTS]
    for event in ledger.find(condition, dict.fromkeys(FIELDS, 1)).hint([("_id", 1)]):
        if not isinstance(event.get("meta"), dict):
            event["meta"] = {}
        event["userId"] = plain_id(event.get("userId"))
        if not _is_unreachable(event):
            yield event


def _is_unreachable(event: Document) -> bool:
    """Whether an event's source was named by a user who left, and so by a tombstone now: nobody can look it up."""
    return is_forgotten(event) and id_text(event.get("userId")) in id_text(event.get("sourceId"))


def _grouped(context: Context, events: Iterable[Document]) -> tuple[Groups, dict[str, Document], set[str]]:
    """Events by the source that they are about; those that count for nobody; the names of those that do not fit.

    One that counts for nobody is in no group, but stands for one: what its `_id` names is to be worth what its source
    says. One whose `_id` does not fit its fields is a group by itself.
    """
    groups: Groups = {}
    odd: dict[str, Document] = {}
    strays = []
    for event in events:
        base = base_id(event)
        if not counts(event):
            name = base or without_number(event["_id"])
            groups.setdefault(name, [])
            odd.setdefault(name, event)
        elif base is None:
            strays.append(event)
        else:
            groups.setdefault(base, []).append(event)
    parents = rows_of(context, [without_number(stray["_id"]) for stray in strays]) if strays else {}
    bases = [stray_base(stray, parents) for stray in strays]
    for base, stray in zip(bases, strays, strict=True):
        groups.setdefault(base, []).append(stray)
    return groups, odd, set(bases)


def _at_primary(context: Context) -> Context:
    backfill = context.config.backfill.model_copy(update={"read_preference": "primary"})
    return replace(context, config=context.config.model_copy(update={"backfill": backfill}))
