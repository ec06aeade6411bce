"""Step 2: the indexes that the board and the roll-up read by."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate import schema
from lbmigrate.records import Checkpoint, Piece
from lbmigrate.run.context import Context

NUMBER = 2
NAME = "create-indexes"
ROW = "step:2"


def apply(context: Context) -> Iterator[Piece]:
    missing = schema.missing_indexes(context.target)
    if missing:
        made = context.state.step(NUMBER).get("made", [])
        labels = {index.label for index in missing}
        yield Piece("indexes", checkpoint=Checkpoint(ROW, {"made": sorted({*made, *labels})}))  # before it is done
    for place, index in enumerate(missing, start=1):
        schema.create_index(context.target, index)
        yield Piece("indexes", place, len(missing), unit="indexes", note=f"created {index.label}")


def revert(context: Context) -> Iterator[Piece]:
    made = context.state.step(NUMBER).get("made", [])
    for index in (index for index in schema.INDEXES if index.label in made):
        present = [(spec["name"], spec["key"]) for spec in schema.present_indexes(context.target, index.collection)]
        if (index.name, index.keys) not in present:  # a namesake with other keys is somebody else's
            continue
        if context.keep_data:
            yield Piece("indexes", note=f"kept {index.label}")
        else:
            context.target[index.collection].drop_index(index.name)
            yield Piece("indexes", note=f"dropped {index.label}")
    if made and not context.keep_data:
        yield Piece("indexes", checkpoint=Checkpoint(ROW, {"made": []}))
