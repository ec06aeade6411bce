"""Passes beside that of the backfill: each over a source, or over what the ledger has of its action, with own rows."""

from __future__ import annotations

import datetime as dt

from lbmigrate.config.model import Source
from lbmigrate.passes import passes
from lbmigrate.run.context import Context

RECOUNT, RECONCILE = "recount", "reconcile"


def as_source(source: Source, kind: str) -> Source:
    """The source under a name that no other has, so that its pass has a row and chunks of its own."""
    return source.model_copy(update={"name": f"{source.name}:{kind}"})


def recounted(context: Context, source: Source) -> dt.datetime | None:
    """When the last recount that came to its end had begun."""
    return _whole_look(context, as_source(source, RECOUNT))


def reconciled(context: Context, source: Source) -> dt.datetime | None:
    """When the last reconciliation that came to its end began to look at what the ledger has of a source's action."""
    first = next(each for each in context.config.sources if each.action == source.action)
    return _whole_look(context, as_source(first, RECONCILE))


def _whole_look(context: Context, source: Source) -> dt.datetime | None:
    found: dt.datetime | None = context.state.get(passes.row_of(context, source)).get(passes.WHOLE)
    return found
