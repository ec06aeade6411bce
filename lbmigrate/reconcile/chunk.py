"""A range of the ledger against its sources: what they are worth now, and adjustments for the difference.

What looks wrong is read again before anything is added: first the ledger, then the source. Whoever changes a source
after that adds to the ledger later still: either there first, and the id is taken here, or there second, and it is
taken there. One whose id is taken reads the ledger and decides again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from bson.errors import BSONError

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import sources
from lbmigrate.ledger.events import insert_new
from lbmigrate.ledger.forget import Leavers
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import durable, lenient
from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Document
from lbmigrate.rules import unwind
from lbmigrate.rules.adjustments import FORGOTTEN, above, adjustments, base_id, counts
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, present_collections
from lbmigrate.values.ids import parse_id
from lbmigrate.values.limits import names_nothing

FIELDS = ("userId", "actionType", "points", "sourceId", "createdAt", "meta.origin", "meta.reason", f"meta.{FORGOTTEN}")
AT_ONCE = 200  # sources whose events are asked for in one query
CONFLICTS = 50  # an id that is taken this often in a row is not a race any more

Groups = dict[str, list[Document]]  # events by the source that they are about; none where they count for nobody
Names = dict[str, list[Any]]  # what the `_id` of that source may be
_numbered = re.compile(r"#[1-9][0-9]*$")


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name, and the sources that score it, the first that has an event for a document goes first."""

    name: str
    sources: tuple[Source, ...]


def actions(config: Config) -> list[Action]:
    """Every action of a configuration once."""
    names = dict.fromkeys(source.action for source in config.sources)
    return [Action(name, tuple(s for s in config.sources if s.action == name)) for name in names]


class Doubt(Enum):
    """Whose entries may be wrong already, and why."""

    NOTHING = "nothing"
    RETRY = "retry"  # an attempt that was not checkpointed may have added any adjustment
    EVERYTHING = "everything"  # other rules may also make other entries of the same events


@dataclass(slots=True)
class Found:
    """What a range of the ledger came to: how many sources, which were adjusted and how, and whom that touches."""

    sources: int = 0
    adjusted: set[str] = field(default_factory=set)
    due: list[Document] = field(default_factory=list)
    users: dict[Any, None] = field(default_factory=dict)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(event["meta"]["reason"] for event in self.due)


def look(context: Context, action: Action, bounds: Bounds) -> Found:
    """What is due in a range of the ledger. Writes nothing."""
    groups, doubtful = _doubtful(context, action, bounds)
    return Found(len(groups), due=_due(context, action, doubtful)[1])


def settle(context: Context, action: Action, bounds: Bounds, one_type: OneUserType, doubt: Doubt) -> Found:
    """Add what is due in a range of the ledger.

    Touched are the users of adjustments that are new, or that somebody may have added who died before the roll-up.
    """
    groups, doubtful = _doubtful(context, action, bounds, doubt)
    found = fix(context, action, doubtful, one_type)
    seen = (event for group in groups.values() for event in group)
    found.users |= dict.fromkeys(e["userId"] for e in seen if doubt is Doubt.EVERYTHING or _is_live(e))
    found.sources = len(groups)
    return found


def fix(context: Context, action: Action, bases: Sequence[str], one_type: OneUserType) -> Found:
    """Add what is due for the sources whose first events have these ids; those without an event are left out."""
    found = Found(len(bases))
    ledger = durable(context.target)[EVENTS]
    for _ in range(CONFLICTS):
        events, due = _due(context, action, bases)
        theirs = {event["userId"] for event in events}  # what stands for them may be taken back
        due = [event for event in due if event["userId"] in theirs or one_type.knows(event["userId"])]
        taken = {event["_id"] for event in insert_new(ledger, due)}
        found.users |= dict.fromkeys(e["userId"] for e in [*events, *due] if "reason" in e["meta"])
        found.due += [event for event in due if event["_id"] not in taken]
        bases = list(dict.fromkeys(_base(event) for event in due if event["_id"] in taken))
        if not bases:
            found.adjusted = {_base(event) for event in found.due}
            return found
    raise LbmigrateError(f"{len(bases)} sources of {action.name} change faster than they can be read", "try again")


def _is_live(event: Document) -> bool:
    """Whether live code has adjusted this."""
    return "reason" in event["meta"] and event["meta"].get("origin") == "live"


def _base(adjustment: Document) -> str:
    return str(adjustment["_id"]).rpartition("#")[0]


# --- what the ledger says ------------------------------------------------------------------------------------------


def _doubtful(
    context: Context, action: Action, bounds: Bounds, doubt: Doubt = Doubt.NOTHING
) -> tuple[Groups, list[str]]:
    """The sources of a range, and those to look at closely: what differs, or may have events beyond the range."""
    events = list(_events(context, bounds.condition()))
    ids = {event["_id"] for event in events}
    groups, names = _grouped(events, action)
    wanted = _desired(context, action, groups, names)
    doubtful = [
        base
        for base, group in groups.items()
        if above(base) > bounds.high
        or (doubt is not Doubt.NOTHING and len(group) > 1)
        or adjustments(group, wanted.get(base), ids)
    ]
    return groups, doubtful


def _due(context: Context, action: Action, bases: Sequence[str]) -> tuple[list[Document], list[Document]]:
    """All events of some sources, and those to be added. Decided by what the primary has, whatever is read usually."""
    ranges = [{"_id": {"$gte": base, "$lt": above(base)}} for base in bases]
    parts = [ranges[start : start + AT_ONCE] for start in range(0, len(ranges), AT_ONCE)]
    events = [event for part in parts for event in _events(context, {"$or": part})]
    taken = {event["_id"] for event in events}
    groups, names = _grouped(events, action)
    groups = {base: groups[base] for base in bases if base in groups}
    wanted = _desired(_at_primary(context), action, groups, names)
    origin = "live" if context.live else "backfill"
    due = [event for base, group in groups.items() for event in adjustments(group, wanted.get(base), taken, origin)]
    return [event for group in groups.values() for event in group], due


def _events(context: Context, condition: Document) -> Iterator[Document]:
    ledger = lenient(durable(context.target))[EVENTS]
    for event in ledger.find(condition, dict.fromkeys(FIELDS, 1)).hint([("_id", 1)]):
        if not isinstance(event.get("meta"), dict):
            event["meta"] = {}
        yield event


def _grouped(events: Iterable[Document], action: Action) -> tuple[Groups, Names]:
    """Events by the source that they are about.

    One that counts for nobody stands in the place of what its id names, which is to be worth what its source says.
    """
    groups: Groups = {}
    names: Names = {}
    for event in events:
        base = base_id(event)
        if base is not None:
            groups.setdefault(base, []).append(event)
            names[base] = [event["sourceId"]]
        elif not counts(event):
            base = _numbered.sub("", event["_id"])
            groups.setdefault(base, [])
            names.setdefault(base, parse_id(base.removeprefix(f"{action.name}:")))
    return groups, names


# --- what the sources say ------------------------------------------------------------------------------------------


def _desired(context: Context, action: Action, groups: Groups, called: Names) -> dict[str, Document]:
    """The events of these sources as they are scored now; nothing for what is gone or does not qualify any more."""
    leavers = Leavers(context.state)
    names = [name for base in groups for name in called[base] if not names_nothing(name)]
    found: dict[str, Document] = {}
    for source in action.sources:
        ids = unwind.owners(filter(_is_text, names)) if source.unwind else names
        for event in _scored(context, source, ids):
            if event["_id"] in groups and event["_id"] not in found:
                found[event["_id"]] = _entombed(event, leavers) if event["userId"] in leavers else event
    if not found and groups and action.sources[0].collection not in present_collections(context.sources):
        gone = f"{action.name}: collection {action.sources[0].collection!r} is gone; it was dropped or renamed"
        raise LbmigrateError(gone, hint="lbmigrate plan")
    return found


def _is_text(name: Any) -> bool:
    """Whether it can name an element; elements have text for names."""
    return isinstance(name, str)


def _entombed(event: Document, leavers: Leavers) -> Document:
    return event | {"userId": leavers.tombstone(event["userId"]), "meta": {**event["meta"], FORGOTTEN: True}}


def _scored(context: Context, source: Source, ids: list[Any]) -> list[Document]:
    """The events of the documents with these ids. One that cannot be read has none, like one that cannot be scored."""
    try:
        found = sources.read(context, source, {"_id": {"$in": ids}})
        return [event for some in found for event in sources.score(context, source, some).events]
    except BSONError:
        if len(ids) == 1:
            return []
    half = len(ids) // 2
    return _scored(context, source, ids[:half]) + _scored(context, source, ids[half:])


def _at_primary(context: Context) -> Context:
    backfill = context.config.backfill.model_copy(update={"read_preference": "primary"})
    return replace(context, config=context.config.model_copy(update={"backfill": backfill}))
