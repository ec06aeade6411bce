"""How far everything is, by the state's own account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from lbmigrate.config.model import Source
from lbmigrate.ledger import binding, zone_count
from lbmigrate.ledger.binding import Apart
from lbmigrate.migration import joined
from lbmigrate.migration import steps as migration
from lbmigrate.migration.joined import Worker
from lbmigrate.migration.pace import Line
from lbmigrate.migration.standing import StepOutlook, standing
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import beside, passes
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.changed import drift, way
from lbmigrate.passes.passes import WHOLE
from lbmigrate.passes.watermark import SETTLE, to_be_read_again
from lbmigrate.records import Counts, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, REJECTS
from lbmigrate.schema.layout import estimated
from lbmigrate.state import FOLLOWING, LOCK, layouts, runs
from lbmigrate.state.lease import is_held
from lbmigrate.state.statuses import RunStatus
from lbmigrate.verify import verdict


@dataclass(frozen=True, slots=True)
class Status:
    """How far everything is: the state's own account, and what it amounts to.

    `apart` says how the state and the ledger have come apart, which nothing else here is to be believed without.
    `lock` also says whether it is `held`, `tail` whether one is `following` and how many seconds it was `silent`. `now`
    is the server's time. `rules` are sentences about the configuration in force: what it leaves out, and what is there
    by another one. `running` is the record of the run that is going on, `progress` what it says of what is no source,
    such as the entries. `unfinished` are runs that did not do everything, such as one that died: `runs.command_of` goes
    on with them. Ages are seconds.
    """

    steps: tuple[StepOutlook, ...]
    sources: tuple[SourceStatus, ...]
    events: int
    entries: int
    verdict: Document
    lock: Document
    control: Document
    tail: Document
    last_run: Document
    now: dt.datetime
    apart: Apart | None = None
    rules: tuple[str, ...] = ()
    running: Document = field(default_factory=dict)
    unfinished: tuple[Document, ...] = ()
    progress: tuple[Progress, ...] = ()
    verdict_age: float | None = None
    overtaken: tuple[str, ...] = ()
    rejects: int = 0
    workers: tuple[Worker, ...] = ()
    boards: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's watermark, its newest pass, and that pass's chunks by status with their counts added up.

    `chunks_in_all` is how many there will be, by the size of the pass when it was opened. `fresh_at` is the time up to
    which all that was changed is on the board, `age` the seconds since then.
    `looks` has when the last look at the whole began, of each kind that there was: `backfill` and `recount`, which find
    what is missing in the ledger, and `reconcile`, which finds what the ledger has too much.
    """

    name: str
    watermark: dt.datetime | None
    number: int
    done: bool
    chunks: dict[str, int]
    counts: dict[str, int]
    looks: dict[str, dt.datetime]
    progress: Progress | None = None
    chunks_in_all: int = 0
    fresh_at: dt.datetime | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a subject is: `done` of `total` units, and where a run is at it now, its rate and the seconds left.

    Both are reckoned from the time that the run was active; time held is none.
    """

    subject: str
    done: int
    total: int | None
    unit: str = "documents"
    estimated: bool = False
    percent: int | None = None
    rate: float | None = None
    seconds_left: float | None = None


def status(context: Context) -> Status:
    """Cheap enough to be asked every few seconds: nothing is counted but the state's own rows.

    Rows that were edited or damaged are in the state's `flaws` afterwards.
    """
    context.state.check_layout()
    context.state.examine()
    now = server_time(context.state.rows.database)
    recent = runs.recent(context.state, now)
    running = next((run for run in recent if _is_at_work(run)), {})
    lines = _lines(running)
    verdict_row = context.state.get("verdict")
    return Status(
        steps=tuple(standing(context, step) for step in migration.STEPS),
        sources=tuple(_source_status(context, source, lines, now) for source in context.config.sources),
        events=_estimate(context, EVENTS),
        entries=estimated(context.target, layouts.layout(context.state)),
        verdict=verdict_row,
        lock=_lock(context, now),
        control=context.state.get("control"),
        tail=_tail(context, now),
        last_run=recent[0] if recent else {},
        now=now,
        apart=binding.apart(context),
        rules=tuple(_rules(context)),
        running=running,
        unfinished=tuple(runs.to_go_on(recent)),
        progress=tuple(_others(context, lines)),
        verdict_age=(now - verdict_row["at"]).total_seconds() if verdict_row else None,
        overtaken=tuple(verdict.overtaken(context)),
        rejects=_estimate(context, REJECTS),
        workers=tuple(joined.workers(context.state, now)) if running else (),
        boards=context.state.get("boards"),
    )


def _rules(context: Context) -> Iterator[str]:
    if here := beginning(context):
        yield f"{here}; to reach further back: {here.earlier}"
    told = drift(context)
    yield from [told] if told else []
    yield from (f"{each}; next: {way(context, SETTLE)}" for each in to_be_read_again(context))
    if told := zone_count.kept(context):
        yield told
    if verdict.is_of_other_rules(context, context.state.get("verdict")):
        yield "the verdict is about another configuration; next: lbmigrate verify"


def _lock(context: Context, now: dt.datetime) -> Document:
    row = context.state.get(LOCK)
    return {**row, "held": is_held(row, now)} if row else {}


def _tail(context: Context, now: dt.datetime) -> Document:
    row = context.state.get("tail")
    silent = (now - row["at"]).total_seconds() if "at" in row else None
    return {**row, "following": is_held(context.state.get(FOLLOWING), now), "silent": silent} if row else {}


def _estimate(context: Context, name: str) -> int:
    return context.target[name].estimated_document_count()


def _is_at_work(run: Document) -> bool:
    """Whether a run is going on; whoever follows the app's changes does so beside the runs."""
    return run.get("outcome") == RunStatus.RUNNING and run.get("verb") != runs.FOLLOWER


def _lines(run: Document) -> dict[str, Line]:
    """What the run that is going on says of each of its subjects; nothing where none is."""
    return {row["subject"]: Line.from_row(row) for row in run.get("progress", {}).get("lines", ())}


def _others(context: Context, lines: dict[str, Line]) -> Iterator[Progress]:
    names = {source.name for source in context.config.sources}
    return (_progress(line, live=True) for name, line in lines.items() if name not in names)


def _progress(line: Line, live: bool) -> Progress:
    rate, left = (line.rate, line.seconds_left) if live else (None, None)
    return Progress(line.subject, line.done, line.total, line.unit, line.estimated, line.percent, rate, left)


def _of_pass(source: Source, current: Document, read: int, lines: dict[str, Line]) -> Progress | None:
    """How far a pass is: as its run says, while one is at it, and else by its chunks."""
    if line := lines.get(source.name):
        return _progress(line, live=True)
    if not current:
        return None
    total = read if current.get("done") else max(current.get("documents", 0), read)
    known = bool(current.get("done")) or "documents" in current
    estimated = not current.get("done") and current.get("estimated", True)
    return _progress(Line(source.name, 0.0, "documents", read, total if known else None, estimated), live=False)


def _chunks_in_all(context: Context, current: Document, chunks: dict[str, int]) -> int:
    """How many chunks a pass will have had at its end; more only where they had to be cut smaller."""
    planned = sum(chunks.values())
    if current.get("done"):
        return planned
    documents: int = current.get("documents", 0)
    return max(planned, -(-documents // context.config.backfill.chunk_size))


def _source_status(context: Context, source: Source, lines: dict[str, Line], now: dt.datetime) -> SourceStatus:
    row = context.state.watermark(source.name)
    current = row.get("pass", {})
    kinds: dict[str, int] = {}
    counts = asdict(Counts())
    for chunk in context.state.chunks(source=source.name, **{"pass": current.get("number", 0)}):
        kinds[chunk["status"]] = kinds.get(chunk["status"], 0) + 1
        for name, value in chunk.get("counts", {}).items():
            counts[name] += value
    fresh = passes.fresh_at(row)
    return SourceStatus(
        name=source.name,
        watermark=row.get("value"),
        number=current.get("number", 0),
        done=bool(current.get("done")),
        chunks=kinds,
        counts=counts,
        looks=_looks(context, source),
        progress=_of_pass(source, current, counts["read"], lines),
        chunks_in_all=_chunks_in_all(context, current, kinds),
        fresh_at=fresh,
        age=(now - fresh).total_seconds() if fresh else None,
    )


def _looks(context: Context, source: Source) -> dict[str, dt.datetime]:
    found = {
        "backfill": context.state.watermark(source.name).get(WHOLE),
        "recount": beside.recounted(context, source),
        "reconcile": beside.reconciled(context, source),
    }
    return {name: at for name, at in found.items() if at is not None}
