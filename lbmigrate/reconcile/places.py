"""Where a reconciliation walks: the actions, their ranges of the ledger, and how old the last look at each is."""

from __future__ import annotations

import datetime as dt

from lbmigrate.config.model import Source
from lbmigrate.ledger.settle import Action, actions
from lbmigrate.passes import passes
from lbmigrate.passes.beside import RECONCILE
from lbmigrate.passes.chunks import Span
from lbmigrate.passes.read_plan import bracket
from lbmigrate.reconcile.chunk import STRANGERS
from lbmigrate.rules.event import of_action, of_other_actions
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

NAME = RECONCILE


def began_before(context: Context) -> dt.datetime | None:
    """When the oldest of this run's passes began, if an earlier run began it: what that one read is as old."""
    found = []
    for ledger in (as_source(context, action) for action in [*actions(context.config), STRANGERS]):
        kept = context.state.get(passes.row_of(context, ledger)).get("pass", {})
        taken_up = kept.get("run") != context.run and kept.get("endedBy", context.run) == context.run
        found += [kept["began"]] if taken_up and "began" in kept else []
    return min(found, default=None)


def all_actions(context: Context) -> list[Action]:
    """Every action of the config, and what the ledger has of others, if there is any."""
    return [*actions(context.config), *([STRANGERS] if spans(context, STRANGERS) else [])]


def as_source(context: Context, action: Action) -> Source:
    """The ledger as a source of its own, under a name that no source has."""
    first = (action.sources or context.config.sources)[0]
    name = f"{first.name if action.sources else ''}:{NAME}"
    return first.model_copy(update={"name": name, "collection": EVENTS, "where": {}, "unwind": None})


def spans(context: Context, action: Action) -> tuple[Span, ...]:
    """An action's range of the ledger: one span, or none; for strangers one between any two actions."""
    within = [of_action(action.name)] if action.sources else of_other_actions(context.config)
    return tuple(span for each in within for span in bracket(context.target[EVENTS], "_id", each))
