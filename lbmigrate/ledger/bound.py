"""What the state remembers of the ledger and the entries that it describes (`binding`), and when.

They are bound when they are made or restored, and their figures are noted when a backfill or a run has ended well.
"""

from __future__ import annotations

from collections.abc import Mapping

from lbmigrate.ledger.binding import ROW, Apart, Loss, apart, identities, judged
from lbmigrate.mongo.shards import is_router
from lbmigrate.records import Checkpoint, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import estimated
from lbmigrate.state import layouts


def after(context: Context, before: Apart | None = None) -> Checkpoint | None:
    """What to remember when work has ended well; nothing where something has come apart that it did not settle.

    A roll-up removes entries that are not right; so fewer of them than before are no loss, if none were missing then.
    """
    kept, here = context.state.get(ROW), identities(context.target)
    found = judged(context, kept, here)
    unharmed = found is None or (found.loss is Loss.SOME_ENTRIES and before is None)
    known = "identities" in kept or context.state.knows_chunks()
    return _as_now(context, kept, here) if unharmed and known else None


def bound(context: Context) -> Checkpoint | None:
    """What to remember of the collections as they are now; None where the state has it so, or there is no ledger."""
    return _as_now(context, context.state.get(ROW), identities(context.target))


def restored(context: Context, copied: Mapping[str, str]) -> Checkpoint | None:
    """What to remember when a backup has come back whose collections had the identities `copied`.

    The state that came with it describes what came with it, if it did so when it was backed up.
    """
    known: dict[str, str] = context.state.get(ROW).get("identities", {})
    described = known and all(copied.get(name) == identity for name, identity in known.items())
    return bound(context) if described else None


def removing(context: Context) -> Checkpoint | None:
    """What to remember before a few documents are removed: until that has ended well, fewer of them are no loss."""
    figures = context.state.get(ROW).get("counts")
    return Checkpoint(ROW, {"counts": None}) if figures and apart(context) is None else None


def taken_back(context: Context) -> Checkpoint:
    """What to remember before all that a migration made is removed, whatever has come apart: that settles it."""
    target = context.target
    return Checkpoint(ROW, {"database": target.name, "identities": identities(target), "counts": None})


def _as_now(context: Context, kept: Document, here: dict[str, str]) -> Checkpoint | None:
    target = context.target
    if EVENTS not in here:
        return None
    # A router's metadata counts twice what is being moved: there, no more is kept than that some are there.
    routed = is_router(target)
    figures = {name: _figure(context, kept, name) for name in here}
    counts = {name: min(figure, 1) if routed else figure for name, figure in figures.items()}
    fields: Document = {"database": target.name, "identities": here, "counts": counts}
    return None if fields.items() <= kept.items() else Checkpoint(ROW, fields)


def _figure(context: Context, kept: Document, name: str) -> int:
    """How many documents there are; of entries that are being moved, which are there twice, what was known before."""
    layout = layouts.layout(context.state)
    if name != ENTRIES or layout.is_single:
        return context.target[name].estimated_document_count()
    before: int = (kept.get("counts") or {}).get(name, 0)
    return before if layout.moving else estimated(context.target, layout)
