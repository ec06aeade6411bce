"""What a run would do, and how far everything is. Only looks; never writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate import feature_flag, schema
from lbmigrate.checks import data
from lbmigrate.checks.finding import Finding
from lbmigrate.config.model import Source
from lbmigrate.ledger.scored_by import changed_rules
from lbmigrate.migration.steps import STEPS, Step
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import passes
from lbmigrate.passes.read_plan import is_indexed, read_plan
from lbmigrate.reconcile import reconcile
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.verify import verdict


@dataclass(frozen=True, slots=True)
class StepOutlook:
    """A step, what the state says of it (`new`, `applied`, `reverted`, `kept`), and what is still to do."""

    number: int
    name: str
    status: str
    finished_at: dt.datetime | None
    todo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """What a backfill would read of a source: documents in scope, chunks, how, and where its watermark stands."""

    name: str
    collection: str
    documents: int
    estimated: bool
    chunks: int
    way: str
    watermark: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `plan` shows. `pending` decides its exit code."""

    steps: tuple[StepOutlook, ...]
    sources: tuple[SourceOutlook, ...]
    findings: tuple[Finding, ...]

    @property
    def pending(self) -> bool:
        return any(step.todo for step in self.steps)


def look(context: Context) -> Plan:
    """Raises nothing for a database that the migration never touched, and leaves it untouched."""
    context.state.check_layout()
    findings = tuple(finding for finding in data.check_data(context) if finding.level != "ok")
    refused = {finding.subject for finding in findings if finding.level == "refusal"}
    findings += () if refused else tuple(_rules(context))
    sources = tuple(_source(context, source) for source in context.config.sources if source.name not in refused)
    steps = tuple(_step(context, step, sources) for step in STEPS)
    return Plan(steps, sources, findings)


def _rules(context: Context) -> Iterator[Finding]:
    """What a changed rule would do to what is counted already."""
    if not changed_rules(context):
        return
    due = reconcile.preview(context)
    about = "" if due.exact else "at least "
    moved = f"{about}{amount(sum(due.reasons.values()), 'adjustment')} would move {about}{due.points:,} points"
    yield Finding("warning", "rules", f"they changed since the ledger was scored: {moved}", "lbmigrate reconcile")


def _source(context: Context, source: Source) -> SourceOutlook:
    outline = read_plan(context, source, server_time(context.sources))
    watermark = context.state.watermark(source.name).get("value")
    documents, estimated = passes.size(context, source, outline.spans)
    size = context.config.backfill.chunk_size
    way = f"everything by _id: {outline.why}" if outline.why else "everything by _id"
    if watermark is not None and not outline.why:
        way = f"what changed since {watermark - context.config.backfill.lag:%Y-%m-%dT%H:%M:%SZ}"
    return SourceOutlook(source.name, source.collection, documents, estimated, -(-documents // size), way, watermark)


def _step(context: Context, step: Step, sources: tuple[SourceOutlook, ...]) -> StepOutlook:
    row = context.state.step(step.NUMBER)
    todo = tuple(TODO[step.NUMBER](context, sources))
    return StepOutlook(step.NUMBER, step.NAME, row.get("status", "new"), row.get("finishedAt"), todo)


def _collections(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    return (f"create {name}" for name in schema.missing_collections(context.target))


def _indexes(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    return (f"create {index.label}" for index in schema.missing_indexes(context.target))


def _dual_write(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    if not feature_flag.read(context.target, context.config).write:
        yield f"turn write on in {context.config.flag.collection}"


def _backfill(context: Context, sources: tuple[SourceOutlook, ...]) -> Iterator[str]:
    """A source is pending until its first pass is closed, and again when documents changed after its watermark."""
    by_name = {source.name: source for source in context.config.sources}
    for outlook in sources:
        source = by_name[outlook.name]
        if outlook.watermark is None or passes.unfinished(context, source):
            yield f"backfill {_read(outlook)} of {outlook.collection} in {amount(outlook.chunks, 'chunk')}"
        elif changed := _changed(context, source, outlook.watermark):
            since = f"{outlook.watermark:%Y-%m-%dT%H:%M:%SZ}"
            yield f"backfill {amount(changed, 'document')} of {outlook.collection}, changed since {since}"
    if context.state.last_closed() is not None:
        yield f"roll up emitted chunks into {ENTRIES}"


def _read(outlook: SourceOutlook) -> str:
    return ("about " if outlook.estimated else "") + amount(outlook.documents, "document")


def _changed(context: Context, source: Source, watermark: dt.datetime) -> int:
    """How many documents in scope are newer than the watermark; not asked where that would scan the collection."""
    collection = context.sources[source.collection]
    if source.unwind or not is_indexed(collection, source.cursor):
        return 0
    return collection.count_documents({"$and": [{source.cursor: {"$gt": watermark}}, source.where]})


def _verify(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    if not verdict.is_current(context):
        yield "compare entries with the ledger"


def _cut_over(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    if not feature_flag.read(context.target, context.config).read:
        yield f"turn read on in {context.config.flag.collection}"


TODO = {1: _collections, 2: _indexes, 3: _dual_write, 4: _backfill, 5: _verify, 6: _cut_over}
