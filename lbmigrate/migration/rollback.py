"""What a rollback would do, before it does it. Only looks; never writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lbmigrate import feature_flag, schema
from lbmigrate.migration.steps import Step, s3_dual_write
from lbmigrate.migration.steps.s4_backfill import DERIVED_HERE, MADE_HERE
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS

OURS: dict[str, Document] = {ENTRIES: DERIVED_HERE, EVENTS: MADE_HERE}


@dataclass(frozen=True, slots=True)
class Undoing:
    """One step of the walk back, and what it would do, a sentence each."""

    number: int
    name: str
    lines: tuple[str, ...]


def preview(context: Context, steps: Sequence[Step]) -> tuple[Undoing, ...]:
    """The steps in the order in which they would be reverted."""
    told = {step: list(LINES[step.NUMBER](context)) for step in reversed(steps)}
    if s3_dual_write in told and feature_flag.read(context.target, context.config).write:
        next(iter(told.values())).append("turn write off: the app stops recording")
    return tuple(Undoing(step.NUMBER, step.NAME, tuple(lines)) for step, lines in told.items())


def _cut_over(context: Context) -> Iterator[str]:
    if feature_flag.read(context.target, context.config).read:
        yield "turn read off: the app stops showing the board"


def _verify(context: Context) -> Iterator[str]:
    if context.state.get("verdict"):
        yield "forget the verdict"


def _backfill(context: Context) -> Iterator[str]:
    if context.keep_data:
        yield f"keep {EVENTS} and {ENTRIES}; the next run takes up from there"
        return
    for name, ours in OURS.items():
        collection = context.target[name]
        going, whole = collection.count_documents(ours), collection.count_documents({})
        if going:
            yield f"remove {amount(going, 'document')} from {name}"
        if whole > going:
            yield f"leave {amount(whole - going, 'document')} in {name} that this migration did not make"
    yield from _by_run(context)


def _by_run(context: Context) -> Iterator[str]:
    emitted: Counter[str] = Counter()
    for chunk in context.state.chunks():
        emitted[chunk.get("run", "?")] += chunk.get("counts", {}).get("emitted", 0)
    for run, events in emitted.most_common():
        begun = context.state.get(f"run:{run}").get("startedAt")
        if events:
            yield f"of these events {events:,} are from run {run}" + (f" of {begun:%Y-%m-%d %H:%M}Z" if begun else "")
    live = context.target[EVENTS].count_documents({"meta.origin": "live"})
    if live:
        yield f"of these events {live:,} were recorded live"


def _dual_write(context: Context) -> Iterator[str]:
    was = context.state.step(3).get("was")
    if was is not None:
        place = f"{context.config.flag.collection}/{context.config.flag.id}"
        yield f"put {place} back as it was" if was["document"] else f"remove {place}, which was not there before"


def _indexes(context: Context) -> Iterator[str]:
    made = context.state.step(2).get("made", [])
    verb = "keep" if context.keep_data else "drop"
    for index in (index for index in schema.INDEXES if index.label in made):
        if any(spec["name"] == index.name for spec in schema.present_indexes(context.target, index.collection)):
            yield f"{verb} {index.label}"


def _collections(context: Context) -> Iterator[str]:
    present = schema.present_collections(context.target)
    for name in (name for name in context.state.step(1).get("made", []) if name in present):
        if context.keep_data:
            yield f"keep {name}"
        elif name in OURS and context.target[name].find_one({"$nor": [OURS[name]]}, {"_id": 1}):
            yield f"leave {name}, which holds documents of others"
        else:
            yield f"drop {name}"


LINES: dict[int, Callable[[Context], Iterator[str]]] = {
    1: _collections,
    2: _indexes,
    3: _dual_write,
    4: _backfill,
    5: _verify,
    6: _cut_over,
}
