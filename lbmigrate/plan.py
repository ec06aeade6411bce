"""What a run would do, and how far everything is. Only looks; never writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate import doctor, flag, mongo, outlines, passes, reconcile, schema, verify
from lbmigrate.config import Source
from lbmigrate.context import Context
from lbmigrate.doctor import Finding
from lbmigrate.models import Document, amount
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.steps import STEPS, Step


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
    findings = tuple(finding for finding in doctor.findings(context) if finding.level != "ok")
    refused = {finding.subject for finding in findings if finding.level == "refusal"}
    findings += () if refused else tuple(_rules(context))
    sources = tuple(_source(context, source) for source in context.config.sources if source.name not in refused)
    steps = tuple(_step(context, step, sources) for step in STEPS)
    return Plan(steps, sources, findings)


def _rules(context: Context) -> Iterator[Finding]:
    """What a changed rule would do to what is counted already."""
    if not reconcile.changed_rules(context):
        return
    due = reconcile.preview(context)
    about = "" if due.exact else "at least "
    moved = f"{about}{amount(sum(due.reasons.values()), 'adjustment')} would move {about}{due.points:,} points"
    yield Finding("warning", "rules", f"they changed since the ledger was scored: {moved}", "lbmigrate reconcile")


def _source(context: Context, source: Source) -> SourceOutlook:
    outline = outlines.outline(context, source, mongo.server_time(context.sources))
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
    if not flag.read(context.target, context.config).write:
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
    if source.unwind or not outlines.is_indexed(collection, source.cursor):
        return 0
    return collection.count_documents({"$and": [{source.cursor: {"$gt": watermark}}, source.where]})


def _verify(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    if not verify.is_current(context):
        yield "compare entries with the ledger"


def _cut_over(context: Context, _: tuple[SourceOutlook, ...]) -> Iterator[str]:
    if not flag.read(context.target, context.config).read:
        yield f"turn read on in {context.config.flag.collection}"


TODO = {1: _collections, 2: _indexes, 3: _dual_write, 4: _backfill, 5: _verify, 6: _cut_over}


@dataclass(frozen=True, slots=True)
class Status:
    """How far everything is: the state's own account, and what it amounts to."""

    steps: tuple[StepOutlook, ...]
    sources: tuple[SourceStatus, ...]
    events: int
    entries: int
    verdict: Document
    lock: Document
    control: Document
    tail: Document
    last_run: Document


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's watermark, its newest pass, and that pass's chunks by status with their counts added up."""

    name: str
    watermark: dt.datetime | None
    number: int
    done: bool
    chunks: dict[str, int]
    counts: dict[str, int]


def status(context: Context) -> Status:
    """Cheap enough to be asked every few seconds: nothing is counted but the state's own rows."""
    context.state.check_layout()
    steps = tuple(_standing(context, step) for step in STEPS)
    runs = context.state.runs(1)
    return Status(
        steps=steps,
        sources=tuple(_source_status(context, source) for source in context.config.sources),
        events=_estimate(context, EVENTS),
        entries=_estimate(context, ENTRIES),
        verdict=context.state.get("verdict"),
        lock=context.state.get("lock"),
        control=context.state.get("control"),
        tail=context.state.get("tail"),
        last_run=runs[0] if runs else {},
    )


def _standing(context: Context, step: Step) -> StepOutlook:
    row = context.state.step(step.NUMBER)
    return StepOutlook(step.NUMBER, step.NAME, row.get("status", "new"), row.get("finishedAt"), ())


def _estimate(context: Context, name: str) -> int:
    return context.target[name].estimated_document_count()


def _source_status(context: Context, source: Source) -> SourceStatus:
    row = context.state.watermark(source.name)
    current = row.get("pass", {})
    kinds: dict[str, int] = {}
    counts = dict.fromkeys(("read", "emitted", "duplicates", "rejected", "skipped", "approximate", "future"), 0)
    for chunk in context.state.chunks(source=source.name, **{"pass": current.get("number", 0)}):
        kinds[chunk["status"]] = kinds.get(chunk["status"], 0) + 1
        for name, value in chunk.get("counts", {}).items():
            counts[name] += value
    done = bool(current.get("done"))
    return SourceStatus(source.name, row.get("value"), current.get("number", 0), done, kinds, counts)
