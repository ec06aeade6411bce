"""Step 3: the flag's `write` goes on, so that from now on the app records its live actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate import feature_flag, schema
from lbmigrate.migration.steps.switches import Switch
from lbmigrate.mongo.client import retrying
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Checkpoint, Piece
from lbmigrate.run.context import Context

NUMBER = 3
NAME = "dual-write"
ROW = "step:3"
SWITCH = Switch(NUMBER, NAME, "write")


def apply(context: Context) -> Iterator[Piece]:
    if context.state.step(NUMBER).get("was") is None:
        # What stood there before, kept until the walk back puts it there again.
        collection = context.config.flag.collection in schema.present_collections(context.target)
        was = {"collection": collection, "document": feature_flag.find(context.target, context.config) or None}
        yield Piece("flag", checkpoint=Checkpoint(ROW, {"was": was}))
    if feature_flag.turn(context.target, context.config, "write", True, context.clock()):
        would = "would turn write on: the app would record live actions from then on"
        yield Piece("flag", note="write is on: the app records live actions from now on", would=would)


def fall_silent(context: Context) -> Iterator[Piece]:
    """Turn recording off, and nothing else: before the ledger goes, and long before this step's own turn.

    Where there are recorders, waits until the last of them has seen the flag: their caches are allowed to be old.
    """
    if not feature_flag.turn(context.target, context.config, "write", False, context.clock()):
        return
    yield Piece("flag", note="write is off")
    if retrying(lambda: context.target[schema.EVENTS].find_one({"meta.origin": "live"}, {"_id": 1})):
        yield Piece("flag", note=f"waiting {feature_flag.TAKES_EFFECT:.0f} s, until every recorder has seen it")
        context.stop.wait(feature_flag.TAKES_EFFECT)


def revert(context: Context) -> Iterator[Piece]:
    yield from fall_silent(context)
    was = context.state.step(NUMBER).get("was")
    if was is None:
        return
    _put_back(context, was)
    yield Piece("flag", note="the flag is as it was before", checkpoint=Checkpoint(ROW, {"was": None}))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    return SWITCH.pending(context)


def preview(context: Context) -> Iterator[str]:
    was = context.state.step(NUMBER).get("was")
    if was is not None:
        place = f"{context.config.flag.collection}/{context.config.flag.id}"
        yield f"put {place} back as it was" if was["document"] else f"remove {place}, which was not there before"


def _put_back(context: Context, was: dict[str, object]) -> None:
    """Our fields as they were, but off: nobody may record into a ledger that is about to go."""
    flags = context.target[context.config.flag.collection]
    this = {"_id": context.config.flag.id}
    before = was["document"]
    if isinstance(before, dict):
        off = {side: False for side in ("write", "read") if before.get(side) is True}
        ours = {name: before[name] for name in feature_flag.FIELDS if name in before} | off
        gone = {name: "" for name in feature_flag.FIELDS if name not in before}
        flags.update_one(this, {verb: fields for verb, fields in (("$set", ours), ("$unset", gone)) if fields})
        return
    flags.delete_one(this)
    if not was["collection"] and flags.find_one({}, {"_id": 1}) is None:
        flags.drop()
