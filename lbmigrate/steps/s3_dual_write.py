"""Step 3: the flag's `write` goes on, so that from now on the app records its live actions."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate import flag, schema
from lbmigrate.context import Context
from lbmigrate.models import Checkpoint, Piece

NUMBER = 3
NAME = "dual-write"
ROW = "step:3"


def apply(context: Context) -> Iterator[Piece]:
    if context.state.step(NUMBER).get("was") is None:
        # What stood there before, kept until the walk back puts it there again.
        collection = context.config.flag.collection in schema.present_collections(context.target)
        was = {"collection": collection, "document": flag.find(context.target, context.config) or None}
        yield Piece("flag", checkpoint=Checkpoint(ROW, {"was": was}))
    if flag.turn(context.target, context.config, "write", True, context.clock()):
        yield Piece("flag", note="write is on: the app records live actions from now on")


def revert(context: Context) -> Iterator[Piece]:
    if flag.turn(context.target, context.config, "write", False, context.clock()):
        yield Piece("flag", note="write is off")
    was = context.state.step(NUMBER).get("was")
    if was is None:
        return
    _put_back(context, was)
    yield Piece("flag", note="the flag is as it was before", checkpoint=Checkpoint(ROW, {"was": None}))


def _put_back(context: Context, was: dict[str, object]) -> None:
    """The document as it was, but off: nobody may record into a ledger that is about to go."""
    flags = context.target[context.config.flag.collection]
    this = {"_id": context.config.flag.id}
    if isinstance(was["document"], dict):
        before = was["document"]
        off = {side: False for side in ("write", "read") if before.get(side) is True}
        flags.replace_one(this, {**before, **off}, upsert=True)
        return
    flags.delete_one(this)
    if not was["collection"] and flags.find_one({}, {"_id": 1}) is None:
        flags.drop()
