"""Step 1: the two collections of the leaderboard, with validators, and the one for rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate import schema
from lbmigrate.ledger import binding, moving, one_kind
from lbmigrate.ledger.begin_anew import begin_anew
from lbmigrate.ledger.binding import Loss
from lbmigrate.ledger.bound import bound
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Checkpoint, Piece, RowsRemoved
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import ROW as ROW_OF_LAYOUT
from lbmigrate.schema.layout import partitions

NUMBER = 1
NAME = "create-collections"
ROW = "step:1"


def apply(context: Context) -> Iterator[Piece]:
    found = binding.apart(context, ms=None)
    if found:
        yield from begin_anew(context, found)
    missing = schema.missing_collections(context.target)
    if missing:
        made = context.state.step(NUMBER).get("made", [])
        # Recorded before it is done: a crash in between leaves a name that a rollback looks for in vain, never a
        # collection that it does not know.
        yield Piece("collections", checkpoint=Checkpoint(ROW, {"made": sorted({*made, *missing})}))
    for place, name in enumerate(missing, start=1):
        schema.create_collection(context.target, name)
        would = f"would create {name}"
        yield Piece("collections", place, len(missing), unit="collections", note=f"created {name}", would=would)
    for difference in schema.differences(context.target):
        yield Piece("collections", warning=difference)
    if told := one_kind.narrow(context):
        yield Piece("collections", note=told)
    yield from moving.pieces(context)
    # Whoever is killed before this finds them apart again, and starts over again.
    if (found or not context.state.get(binding.ROW)) and (now := bound(context)):
        yield Piece("collections", checkpoint=now)


def revert(context: Context) -> Iterator[Piece]:
    made = context.state.step(NUMBER).get("made", [])
    if not context.keep_data:
        yield Piece("collections", checkpoint=RowsRemoved((binding.ROW, ROW_OF_LAYOUT)))
    for name in _present(context):
        if context.keep_data:
            yield Piece("collections", note=f"kept {name}")
        elif name != schema.REJECTS and context.target[name].find_one({}, {"_id": 1}):
            yield Piece("collections", warning=f"{name} holds documents that this migration did not make; it stays")
        else:
            context.target.drop_collection(name)
            yield Piece("collections", note=f"dropped {name}")
    if made and not context.keep_data:
        yield Piece("collections", checkpoint=Checkpoint(ROW, {"made": []}))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    found = binding.apart(context)
    if found and found.loss is not Loss.SOME_ENTRIES:  # which is step 4's affair
        yield f"start over: {found.sentence}"
    yield from (f"create {name}" for name in schema.missing_collections(context.target))
    if told := moving.pending(context):
        yield told


def preview(context: Context) -> Iterator[str]:
    for name in _present(context):
        ours = schema.MADE_BY_A_MIGRATION.get(schema.base_of(name))
        if context.keep_data:
            yield f"keep {name}"
        elif ours and context.target[name].find_one({"$nor": [ours]}, {"_id": 1}):
            yield f"leave {name}, which holds documents of others"
        else:
            yield f"drop {name}"


def _present(context: Context) -> list[str]:
    """The collections that this migration made and that are there."""
    present = schema.present_collections(context.target)
    made = context.state.step(NUMBER).get("made", [])
    ours = [name for name in made if name in present and name in schema.VALIDATORS.keys() | {schema.REJECTS}]
    return [*ours, *partitions(context.target)]
