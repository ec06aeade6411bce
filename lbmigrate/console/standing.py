"""How far everything is, and what each run did, as a terminal shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from lbmigrate.console import tables
from lbmigrate.console.columns import facts
from lbmigrate.console.format import cell, countdown, duration, named, rate
from lbmigrate.console.looks import looks
from lbmigrate.console.tables import figure, generic, state, step_name
from lbmigrate.migration.health import SILENT
from lbmigrate.records import Document, amount
from lbmigrate.state import Holder, runs
from lbmigrate.state.statuses import ChunkStatus
from lbmigrate.telling.age import ago
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.migration.joined import Worker
    from lbmigrate.migration.status import Progress, SourceStatus, Status

# What can wait where there is no room for all columns, the first of them first.
OF_A_SOURCE = ("emitted", "watermark", "rejected", "chunks")
OF_A_RUN = ("by", "run", "rate", "entries", "events", "rejects", "documents")


def status(found: Status) -> list[RenderableType]:
    """Steps, sources, and the figures and people around them."""
    steps = [(step_name(step), state(step.status), step.finished_at) for step in found.steps]
    return [
        generic("Steps", ("step", "state", "finished"), steps, ["finished"]),
        _sources(found),
        facts(_standing(found)),
    ]


def _sources(found: Status) -> RenderableType:
    """A line for each source. Rate and time left are there while a run is at it."""
    every = [dict(_source(source)) for source in found.sources]
    moving = any(row["rate"] is not None for row in every)
    names = [name for name in (every[0] if every else ()) if moving or name not in ("rate", "left")]
    return generic("Sources", names, [[row[name] for name in names] for row in every], OF_A_SOURCE)


def _source(source: SourceStatus) -> Iterator[tuple[str, Any]]:
    closed = sum(number for status, number in source.chunks.items() if status != ChunkStatus.CLAIMED)
    yield "source", source.name
    yield "chunks", figure(f"{closed:,} of {max(source.chunks_in_all, sum(source.chunks.values())):,}")
    yield "read", figure(_amount(source.progress) if source.progress else f"{source.counts.get('read', 0):,}")
    percent = source.progress.percent if source.progress else None
    yield "done", figure("–" if percent is None else f"{percent} %")
    yield from ((name, source.counts.get(name, 0)) for name in ("emitted", "rejected"))
    yield "rate", _rate(source.progress)
    yield "left", _left(source.progress)
    yield "watermark", source.watermark


def _amount(progress: Progress) -> str:
    if progress.total is None or progress.total == progress.done:
        return f"{progress.done:,}"
    return f"{progress.done:,} of {'~' if progress.estimated else ''}{progress.total:,}"


def _rate(progress: Progress | None) -> Text | None:
    return figure(rate(progress.rate)) if progress and progress.rate else None


def _left(progress: Progress | None) -> Text | None:
    return figure(countdown(progress.seconds_left)) if progress and progress.seconds_left else None


def _standing(found: Status) -> Iterable[tuple[str, Any]]:
    yield "events", found.events
    yield "entries", found.entries
    if found.rejects:
        yield "rejects", f"{found.rejects:,}; lbmigrate rejects"
    yield from looks(found)
    if ages := [(source.age, source.name) for source in found.sources if source.age is not None]:
        yield "sources read", f"{ago(dt.timedelta(seconds=max(ages)[0]))} ({plain(max(ages)[1])})"
    yield "verdict", _judgement(found)
    if found.rules:
        yield "rules", Text("\n".join(map(plain, found.rules)), "yellow")
    yield "lock", _holder(found.lock)
    if paused := found.control.get("paused"):
        yield "paused", Text(f"by {plain(paused['by'])} since {cell(paused['at'])}; next: lbmigrate resume", "yellow")
    if tail := found.tail:
        yield "tail", _follower(tail)
    yield from _going_on(found)
    if run := found.last_run:
        yield "last run", _last(run)
    for run in found.unfinished:
        told = f"{plain(run.get('verb', '?'))} {plain(run['outcome'])} at {cell(run.get('startedAt'))}"
        yield "to go on", Text(f"{told}; next: {plain(runs.command_of(run))}", "yellow")


def _judgement(found: Status) -> RenderableType:
    told = tables.verdict(found.verdict)[0]
    if found.verdict_age is None or not isinstance(told, Text):
        return told
    return Text.assemble(told, (f"  {ago(dt.timedelta(seconds=found.verdict_age))}", "dim"))


def _going_on(found: Status) -> Iterator[tuple[str, Any]]:
    """The run that is at work: how far what is no source is, how hard it presses, and what holds it."""
    run = found.running
    if not run:
        return
    for each in found.progress:
        percent = "" if each.percent is None else f", {each.percent} %"
        speed = f", {rate(each.rate)}" if each.rate else ""
        left = f", {countdown(each.seconds_left)} left" if each.seconds_left else ""
        yield plain(each.subject), f"{_amount(each)} {named(each.total or each.done, each.unit)}{percent}{speed}{left}"
    yield from (("worker", _worker(each)) for each in found.workers)
    if progress := run.get("progress"):
        yield "pace", _pace(progress, found.control.get("tuned"), run["_id"])
    if held := run.get("held"):
        since = f"{plain(held)}, since {cell(run.get('heldSince'))}"
        ends = f"; ends when {plain(run['heldEnds'])}" if run.get("heldEnds") else ""
        yield "held", Text(since + ends.replace("ends when lbmigrate", "next: lbmigrate"), "yellow")


def _worker(found: Worker) -> str:
    speed = f", {rate(found.rate)}" if found.rate else ""
    done = f"{amount(found.tasks, 'task')}, {amount(found.documents, 'document')}{speed}"
    return f"pid {found.pid} on {plain(found.host)}: {done}, seen {duration(found.silent)} ago"


def _pace(progress: Mapping[str, Any], tuned: Mapping[str, Any] | None, run: str) -> str:
    most = progress["perSecond"]
    told = f"{amount(progress['workers'], 'worker')}, " + (f"at most {most:g} documents/s" if most else "no limit")
    if tuned and run == f"run:{tuned['run']}":
        told += f"; tuned by {plain(tuned['by'])} at {cell(tuned['at'])}"
    return told


def _last(run: Mapping[str, Any]) -> Text:
    took = f", {_took(run)}" if "endedAt" in run and "startedAt" in run else ""
    began = f" at {cell(run.get('startedAt'))}{took}, by {plain(run.get('by', '?'))}"
    return Text.assemble(plain(run.get("verb", "?")), " ", state(run.get("outcome", "?")), began)


def _follower(tail: Mapping[str, Any]) -> str | Text:
    """How far behind a tail is, which nobody can say of one that gives no sign of life."""
    seen = f"seen {cell(tail.get('at'))}, {amount(tail.get('events', 0), 'event')}"
    if not tail.get("following", True) and (stopped := tail.get("stoppedAt")):
        return f"stopped {cell(stopped)}, {amount(tail.get('events', 0), 'event')}; to follow again: lbmigrate tail"
    if not tail.get("following", True):
        return Text(f"nobody follows; {seen}; next: lbmigrate tail", "yellow")
    silent = tail.get("silent") or 0.0
    if silent > SILENT:
        return Text(f"no report for {duration(silent)}, {seen}", "yellow")
    return f"{tail.get('lag') or 0:.1f} s behind, {seen}, {duration(max(silent, 0.0))} ago"


def _holder(lock: Mapping[str, Any]) -> str | Text:
    holder = Holder.of(lock)
    if not lock.get("held", holder is not None):
        return Text(f"free: {plain(holder)} ended without releasing it", "yellow") if holder else "free"
    until = lock.get("expiresAt")
    return f"{plain(holder or 'somebody')}, until {'nobody knows when' if until == dt.datetime.max else cell(until)}"


def _took(run: Mapping[str, Any]) -> str:
    return duration((run["endedAt"] - run["startedAt"]).total_seconds())


# --- history -------------------------------------------------------------------------------------------------------


def history(rows: Sequence[Document]) -> list[RenderableType]:
    """The runs, newest first, and below them what went wrong in those that failed."""
    every = [dict(_run(row)) for row in rows]
    names = list(every[0] if every else ())
    shown = generic("Runs", names, [[row[name] for name in names] for row in every], OF_A_RUN)
    failed = [(row.get("startedAt"), " ".join(row["error"].split())) for row in rows if row.get("error")]
    return [shown, generic("What went wrong", ("started", "error"), failed)] if failed else [shown]


def _run(row: Document) -> Iterator[tuple[str, Any]]:
    """What a run did, by its own account; an earlier version kept none. Its rate is that of its active time."""
    did = row.get("progress", {})
    yield "started", row.get("startedAt")
    yield "verb", row.get("verb")
    yield "outcome", state(row.get("outcome", "?"))
    yield "took", figure(_took(row) if "endedAt" in row and "startedAt" in row else "–")
    yield from ((name, did.get(name)) for name in ("documents", "events", "entries", "rejects"))
    active = did.get("active") or 0.0
    yield "rate", figure(rate(did["documents"] / active) if active and did["documents"] else "–")
    yield "by", row.get("by")
    yield "run", str(row.get("_id", "")).removeprefix("run:")
