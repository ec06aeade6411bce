"""From what is in the database to the work that is left to do: what is done already is not predicted again."""

from __future__ import annotations

from collections.abc import Mapping

from lbmigrate.config.model import Source
from lbmigrate.estimate import sample, verifying
from lbmigrate.estimate.model import Work
from lbmigrate.estimate.reading import Reading
from lbmigrate.estimate.sample import Allowance, Sample
from lbmigrate.estimate.surroundings import indexes_more, kib_of
from lbmigrate.estimate.users import Spread, of_ledger, spread
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import pass_size, passes, watermark
from lbmigrate.passes.outlook import changed
from lbmigrate.passes.read_plan import ReadPlan, read_plan
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.schema.layout import estimated
from lbmigrate.state import layouts
from lbmigrate.state.statuses import ChunkStatus

CLOSED = (ChunkStatus.EMITTED.value, ChunkStatus.ROLLED.value)
COUNTS = ("read",), ("emitted", "duplicates")  # what chunks have read, and what came of it
USUAL_SHARE = 1.0  # events for each document where none was looked at


def readings(context: Context, allowance: Allowance) -> list[Reading]:
    """What is left of each source; of one of which nothing is pending that is nothing."""
    return [_reading(context, source, allowance) for source in context.config.sources]


def _reading(context: Context, source: Source, allowance: Allowance) -> Reading:
    planned, kept = read_plan(context, source, server_time(context.sources)), passes.unfinished(context, source)
    mark = watermark.mark(context, source)
    new = changed(context, source, mark.value) if mark.value is not None else 0
    if mark.value is not None and not kept and not new:
        return Reading(source, 0.0, 0.0, False, False, 0.0, Sample())
    number = kept.get("number") or context.state.last_pass(source.name) + 1
    whole, _ = pass_size.size(context, source, planned.spans)
    done, entered, in_hand = _begun(context, source, number) if kept else (0, 0, 0)
    left = max(0, whole - done)
    seen = sample.take(context, source, planned.spans, number == 1, allowance) if left else Sample()
    examined = _examined(context, source, planned, whole) * left / max(1, whole)
    added = left * seen.share("events", USUAL_SHARE)
    first, again = number == 1, mark.value is None and number > 1
    added = added if mark.value is None else min(added, new)
    return Reading(source, left, examined, first, again, added, seen, entered, in_hand)


def _begun(context: Context, source: Source, number: int) -> tuple[int, int, int]:
    """What the closed chunks of a pass have read, and how many events came of it; documents of the others at most."""
    rows = list(context.state.chunks(source=source.name, **{"pass": number}))
    closed = [row.get("counts", {}) for row in rows if row["status"] in CLOSED]
    read, made = (sum(each.get(name, 0) for each in closed for name in some) for some in COUNTS)
    return read, made, (len(rows) - len(closed)) * context.config.backfill.chunk_size


def _examined(context: Context, source: Source, planned: ReadPlan, documents: int) -> float:
    """How many documents the server looks at: all of a collection that is walked by `_id`."""
    walked = planned.whole or bool(planned.why)
    return max(documents, context.sources[source.collection].estimated_document_count()) if walked else documents


def present(context: Context) -> int:
    """The events that are in the ledger."""
    return int(context.target[EVENTS].estimated_document_count())


def work(context: Context, found: list[Reading], there: int, allowance: Allowance) -> tuple[Work, Spread]:
    """All that is left to do, and how users and entries follow from events.

    `there` are the events that were in the ledger before the sources were looked at: beside a run that goes on they
    become more all the time, and what it has done meanwhile would count twice.
    """
    settled = _settled(found, there)
    weights = {each.source.name: each.added for each in found}
    samples = {each.source.name: each.seen for each in found}
    share = (
        spread(context, samples, weights, allowance) if sum(weights.values()) else of_ledger(context, round(settled))
    )
    first = all(each.first for each in found if each.documents)
    added = max(0.0, sum(weights.values()) - settled * any(each.again for each in found))
    documents = sum(each.rows for each in found)
    gathered, entries = _entries(context, share, added, settled, first)
    verification = verifying.verification(context, found, settled + added, share, reads=bool(documents))
    return (
        Work(
            examined=sum(each.examined for each in found),
            kib=sum(each.examined * kib_of(context.sources, each.source.collection) for each in found),
            documents=documents,
            apart=sum(each.apart for each in found),
            events=added,
            gathered=gathered,
            users=(settled + added) * share.users,
            entries=entries,
            indexes=indexes_more(context, EVENTS),
            scoring=sum(each.scoring for each in found),
            event_bytes=_event_bytes(found),
            **verification,
        ),
        share,
    )


def _settled(found: list[Reading], there: float) -> float:
    """The events that are in the ledger without those of chunks in hand, whose documents are still to be read.

    What closed chunks have entered is in the ledger, also where that was counted before the last of them was closed.
    """
    begun = [each for each in found if each.first]
    entered, in_hand = sum(each.entered for each in begun), sum(each.in_hand for each in begun)
    return entered + max(0.0, there - entered - in_hand)


def _entries(context: Context, share: Spread, added: float, there: float, first: bool) -> tuple[float, float]:
    """How many events are read back, and how many entries are written: of everybody, or of who was touched."""
    if not added and context.state.last_closed() is None:
        return 0.0, 0.0
    if first:
        present = estimated(context.target, layouts.look(context.state).layout)
        gathered = added + there
        return gathered, max(0.0, gathered * share.entries - present)
    users = min(added, (added + there) * share.users)
    return users / share.users if share.users else added, added * len(context.config.periods)


def _event_bytes(found: list[Reading]) -> float:
    weights: Mapping[str, float] = {each.source.name: each.added for each in found if each.seen.events}
    total = sum(weights.values())
    named = {each.source.name: each.seen.event_bytes for each in found}
    return sum(named[name] * weight for name, weight in weights.items()) / total if total else 0.0
