"""How far everything is, by the state's own account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lbmigrate.backfill import recount
from lbmigrate.config.model import Source
from lbmigrate.ledger import binding
from lbmigrate.ledger.binding import Apart
from lbmigrate.migration import steps as migration
from lbmigrate.migration.plan import StepOutlook, standing
from lbmigrate.mongo.client import server_time
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.passes import WHOLE
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.passes.watermark import SETTLE, to_be_read_anew
from lbmigrate.reconcile import places
from lbmigrate.records import Counts, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.schema.layout import estimated
from lbmigrate.state import FOLLOWING, LOCK, layouts, runs
from lbmigrate.state.lease import is_held
from lbmigrate.verify import verdict


@dataclass(frozen=True, slots=True)
class Status:
    """How far everything is: the state's own account, and what it amounts to.

    `apart` says how the state and the ledger have come apart, which nothing else here is to be believed without.
    `lock` also says whether it is `held`, `tail` whether one is `following` and how many seconds it was `silent`. `now`
    is the server's time. `rules` are sentences about the configuration in force: what it leaves out, and what is there
    by another one.
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


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's watermark, its newest pass, and that pass's chunks by status with their counts added up.

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


def status(context: Context) -> Status:
    """Cheap enough to be asked every few seconds: nothing is counted but the state's own rows.

    Rows that were edited or damaged are in the state's `flaws` afterwards.
    """
    context.state.check_layout()
    context.state.examine()
    now = server_time(context.state.rows.database)
    last = runs.recent(context.state, now, 1)
    return Status(
        steps=tuple(standing(context, step) for step in migration.STEPS),
        sources=tuple(_source_status(context, source) for source in context.config.sources),
        events=_estimate(context, EVENTS),
        entries=estimated(context.target, layouts.layout(context.state)),
        verdict=context.state.get("verdict"),
        lock=_lock(context, now),
        control=context.state.get("control"),
        tail=_tail(context, now),
        last_run=last[0] if last else {},
        now=now,
        apart=binding.apart(context),
        rules=tuple(_rules(context)),
    )


def _rules(context: Context) -> Iterator[str]:
    if here := beginning(context):
        yield f"{here}; to reach further back: {here.earlier}"
    anew = to_be_read_anew(context)
    yield from (f"{told}; next: {SETTLE}" for told in anew)
    if changed_rules(context):
        yield (
            "the ledger was scored by other rules; next: "
            + (f"{SETTLE}, then: " if anew else "")
            + "lbmigrate reconcile"
        )
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
    return SourceStatus(
        source.name, row.get("value"), current.get("number", 0), done, kinds, counts, _looks(context, source)
    )


def _looks(context: Context, source: Source) -> dict[str, dt.datetime]:
    found = {
        "backfill": context.state.watermark(source.name).get(WHOLE),
        "recount": recount.whole_look(context, source),
        "reconcile": places.whole_look(context, source),
    }
    return {name: at for name, at in found.items() if at is not None}
