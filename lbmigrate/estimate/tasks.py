"""From what is in the database to the work that is left to do: what is done already is not predicted again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lbmigrate.config.model import Source
from lbmigrate.estimate import sample
from lbmigrate.estimate.model import Work
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
from lbmigrate.values import formula
from lbmigrate.verify import verdict
from lbmigrate.verify.bound import sample_size
from lbmigrate.verify.conserve import MOST_SUMMED

USUAL_SHARE = 1.0  # events for each document where none was looked at


@dataclass(frozen=True, slots=True)
class Reading:
    """What is left to read of one source: documents in scope and examined ones, with what a sample of them showed.

    `first` is whether none of it was read before, and `again` whether all of it is read once more; `added` are events,
    those that are in the ledger already included where it is.
    """

    source: Source
    documents: float
    examined: float
    first: bool
    again: bool
    added: float
    seen: Sample

    @property
    def apart(self) -> float:
        """Documents that are scored one by one."""
        return self.documents * self.seen.share("apart", 0.0 if self.first else 1.0)

    @property
    def rows(self) -> float:
        """What is scored: documents, or the elements of their arrays."""
        return max(self.documents, self.apart)

    @property
    def scoring(self) -> float:
        """Processor seconds of this machine."""
        return self.documents * self.seen.share("scoring", 0.0)


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
    done = context.state.read_in_pass(source.name, number) if kept else 0
    left = max(0, whole - done)
    seen = sample.take(context, source, planned.spans, number == 1, allowance) if left else Sample()
    examined = _examined(context, source, planned, whole) * left / max(1, whole)
    added = left * seen.share("events", USUAL_SHARE)
    first, again = number == 1, mark.value is None and number > 1
    return Reading(source, left, examined, first, again, added if mark.value is None else min(added, new), seen)


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
    weights = {each.source.name: each.added for each in found}
    samples = {each.source.name: each.seen for each in found}
    share = spread(context, samples, weights, allowance) if sum(weights.values()) else of_ledger(context, there)
    first = all(each.first for each in found if each.documents)
    added = max(0.0, sum(weights.values()) - there * any(each.again for each in found))
    documents = sum(each.rows for each in found)
    gathered, entries = _entries(context, share, added, there, first)
    users, drawn = (there + added) * share.users, _drawn(context, there + added, share, bool(documents))
    verified = drawn / share.users if share.users else 0.0
    summed = summed_of(there + added) if drawn else 0.0
    return (
        Work(
            examined=sum(each.examined for each in found),
            kib=sum(each.examined * kib_of(context.sources, each.source.collection) for each in found),
            documents=documents,
            apart=sum(each.apart for each in found),
            events=added,
            gathered=gathered,
            users=users,
            entries=entries,
            indexes=indexes_more(context, EVENTS),
            scoring=sum(each.scoring for each in found),
            verified=verified,
            compared=verified * share.entries,
            summed=summed,
            summed_entries=summed * share.entries,
            called=verified * _called(found),
            asked=drawn * _called(found),
            event_bytes=_event_bytes(found),
        ),
        share,
    )


def _entries(context: Context, share: Spread, added: float, there: int, first: bool) -> tuple[float, float]:
    """How many events are read back, and how many entries are written: of everybody, or of who was touched."""
    if not added and context.state.last_closed() is None:
        return 0.0, 0.0
    if first:
        present = estimated(context.target, layouts.look(context.state).layout)
        gathered = added + there
        return gathered, max(0.0, gathered * share.entries - present)
    users = min(added, (added + there) * share.users)
    return users / share.users if share.users else added, added * len(context.config.periods)


def _drawn(context: Context, events: float, share: Spread, reads: bool) -> float:
    """The users whom the verification draws; nobody where there is a verdict on all of it."""
    if not events or (not reads and verdict.is_current(context)):
        return 0.0
    rules, users = context.config.verify, max(1.0, events * share.users)
    if rules.level == "full":
        return users
    return min(users, sample_size(round(users), rules.confidence, rules.max_error))


def summed_of(events: float) -> float:
    """Of how many events a verification of a sample asks the server for the sums."""
    return events if events <= MOST_SUMMED else 0.0


def _called(found: list[Reading]) -> float:
    """The share of the events that a Python function is asked for."""
    weights = [(each.added, formula.is_function(str(each.source.points))) for each in found]
    return sum(added for added, asked in weights if asked) / max(1.0, sum(added for added, _ in weights))


def _event_bytes(found: list[Reading]) -> float:
    weights: Mapping[str, float] = {each.source.name: each.added for each in found if each.seen.events}
    total = sum(weights.values())
    named = {each.source.name: each.seen.event_bytes for each in found}
    return sum(named[name] * weight for name, weight in weights.items()) / total if total else 0.0
