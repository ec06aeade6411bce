"""Adjustments for the difference between what the ledger says of some sources and what these are worth now.

What looks wrong is read again before anything is added: first the ledger, then the source. Whoever changes a source
after that adds to the ledger later still: either there first, and the id is taken here, or there second, and it is
taken there. One whose id is taken reads the ledger and decides again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.desired import desired
from lbmigrate.ledger.events import insert_each
from lbmigrate.ledger.groups import Groups, grouped, of_groups
from lbmigrate.ledger.sources import at_primary
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.records import Document, amount
from lbmigrate.rules.adjustments import adjustments
from lbmigrate.rules.strays import is_apart
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text

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


@dataclass(slots=True)
class Found:
    """What a range of the ledger came to: how many sources, which were adjusted and how, and whom that touches.

    `strays` are events that count and are about no source: their `_id` does not fit their fields, or no source has
    their action. `refused` are adjustments that the server did not take, with its reasons. `held` are actions that were
    left standing since nothing of their source is left.
    """

    sources: int = 0
    adjusted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    users: dict[Any, None] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    held: int = 0

    def add(self, other: Found) -> None:
        """Take in what another part of the range came to."""
        self.sources += other.sources
        self.adjusted += other.adjusted
        self.reasons += other.reasons
        self.users |= other.users
        self.strays += other.strays
        self.refused += other.refused
        self.held += other.held


Worth = Callable[[Context, tuple[Source, ...], Groups, Mapping[str, Document]], dict[str, Document]]


Taking = Callable[[Action, Sequence[Document]], None]


def take_anything(action: Action, due: Sequence[Document]) -> None:
    """Let adjustments take back whatever they do."""


def fix(
    context: Context,
    action: Action,
    bases: Sequence[str],
    one_type: OneUserType,
    worth: Worth = desired,
    taking: Taking = take_anything,
) -> Found:
    """Add what is due for the sources whose first events have these ids; those without an event are left out.

    `worth` tells what they should come to. `taking` hears what is due before it is added, and may refuse it.
    """
    found, adjusted = Found(len(bases)), set[str]()
    ledger = context.target[EVENTS]
    for _ in range(CONFLICTS):
        events, due = due_of(context, action, bases, one_type, worth)
        taking(action, due)
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
    told = f"{amount(len(bases), 'source')} of {action.name} {'changes' if len(bases) == 1 else 'change'}"
    raise LbmigrateError(f"{told} faster than can be read", "try again")


def is_live(event: Document) -> bool:
    """Whether live code has adjusted this."""
    return "reason" in event["meta"] and event["meta"].get("origin") != "backfill"


def _base(adjustment: Document) -> str:
    return str(adjustment["_id"]).rpartition("#")[0]


def due_of(
    context: Context, action: Action, bases: Sequence[str], one_type: OneUserType, worth: Worth = desired
) -> tuple[list[Document], list[Document]]:
    """All events of some sources, and those to be added. Decided by what the primary has, whatever is read usually.

    A user of another type than all others is given nothing; what the ledger gave one may be taken back.
    """
    events = of_groups(context, bases)
    taken, (groups, odd, _) = {event["_id"] for event in events}, grouped(context, events)
    groups = {base: groups[base] for base in bases if base in groups}
    wanted = worth(at_primary(context), action.sources, groups, odd)
    origin = "live" if context.live else "backfill"
    due = [
        event
        for base, group in groups.items()
        for event in adjustments(group, wanted.get(base), taken, origin, group_name(base))
    ]
    standing = [event for group in groups.values() for event in group]
    theirs = {exact_text(event["userId"]) for event in standing}
    knows = (one_type.knows(event["userId"]) or exact_text(event["userId"]) in theirs for event in due)
    return standing, list(compress(due, knows))


def group_name(base: str) -> str:
    """What adjustments are named by where the first event does not have that name."""
    return base if is_apart(base) else ""
