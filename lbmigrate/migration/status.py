"""How far everything is, by the state's own account."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from lbmigrate.config.model import Source
from lbmigrate.migration import steps as migration
from lbmigrate.migration.plan import StepOutlook, standing
from lbmigrate.records import Counts, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS


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
    runs = context.state.runs(1)
    return Status(
        steps=tuple(standing(context, step) for step in migration.STEPS),
        sources=tuple(_source_status(context, source) for source in context.config.sources),
        events=_estimate(context, EVENTS),
        entries=_estimate(context, ENTRIES),
        verdict=context.state.get("verdict"),
        lock=context.state.get("lock"),
        control=context.state.get("control"),
        tail=context.state.get("tail"),
        last_run=runs[0] if runs else {},
    )


def _estimate(context: Context, name: str) -> int:
    return context.target[name].estimated_document_count()


def _source_status(context: Context, source: Source) -> SourceStatus:
    row = context.state.watermark(source.name)
    current = row.get("pass", {})
    kinds: dict[str, int] = {}
    counts = asdict(Counts())
    for chunk in context.state.chunks(source=source.name, **{"pass": current.get("number", 0)}):
        kinds[chunk["status"]] = kinds.get(chunk["status"], 0) + 1
        for name, value in chunk.get("counts", {}).items():
            counts[name] += value
    done = bool(current.get("done"))
    return SourceStatus(source.name, row.get("value"), current.get("number", 0), done, kinds, counts)
