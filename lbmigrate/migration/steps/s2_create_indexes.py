"""Step 2: the indexes that the board and the roll-up read by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from lbmigrate import schema
from lbmigrate.ledger import sharding
from lbmigrate.migration import ordering
from lbmigrate.mongo import indexes
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Checkpoint, Piece
from lbmigrate.run.context import Context
from lbmigrate.state import layouts

NUMBER = 2
NAME = "create-indexes"
ROW = "step:2"


def apply(context: Context) -> Iterator[Piece]:
    build = partial(_built, context)
    yield from build(layouts.layout(context.state).orders)
    yield from ordering.pieces(context, build)
    if context.shard:
        yield from sharding.pieces(context)


def _built(context: Context, orders: Sequence[str]) -> Iterator[Piece]:
    """What is missing, where entries of one score stand in these orders."""
    missing = schema.missing_indexes(context.target, orders)
    if missing:
        made = context.state.step(NUMBER).get("made", [])
        labels = {index.label for index in missing}
        yield Piece("indexes", checkpoint=Checkpoint(ROW, {"made": sorted({*made, *labels})}))  # before it is done
    for place, index in enumerate(missing, start=1):
        indexes.build(context.target, index.collection, [index.spec])
        would = f"would create {index.label}"
        yield Piece("indexes", place, len(missing), unit="indexes", note=f"created {index.label}", would=would)


def revert(context: Context) -> Iterator[Piece]:
    made = context.state.step(NUMBER).get("made", [])
    for index in _present(context):
        if context.keep_data:
            yield Piece("indexes", note=f"kept {index.label}")
        else:
            context.target[index.collection].drop_index(index.name)
            yield Piece("indexes", note=f"dropped {index.label}")
    if made and not context.keep_data:
        yield Piece("indexes", checkpoint=Checkpoint(ROW, {"made": []}))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    missing = schema.missing_indexes(context.target, layouts.layout(context.state).orders)
    yield from (f"create {index.label}" for index in missing)
    if told := ordering.pending(context):
        yield told


def preview(context: Context) -> Iterator[str]:
    return (f"{'keep' if context.keep_data else 'drop'} {index.label}" for index in _present(context))


def _present(context: Context) -> Iterator[schema.Index]:
    """The indexes that this migration made and that are there; a namesake with other keys is somebody else's."""
    made = context.state.step(NUMBER).get("made", [])
    ours = (*schema.INDEXES, *schema.ENTRIES_BY_MOMENT.values())
    for index in (index for index in ours if index.label in made):
        present = [(spec["name"], spec["key"]) for spec in schema.present_indexes(context.target, index.collection)]
        if (index.name, index.keys) in present:
            yield index
