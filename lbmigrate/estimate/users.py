"""How many users and entries some events come to, told from all events of a few users.

Whoever has many events is drawn more often. Dividing by their number makes up for that: on the average over events,
1/(events of the user) is users for each event, and entries/(events of the user) is entries for each event.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from lbmigrate.board.lookup import naming
from lbmigrate.config.model import Source
from lbmigrate.estimate.sample import DRAWN, Allowance, Sample
from lbmigrate.ledger.sources import read, score
from lbmigrate.passes.read_plan import is_indexed
from lbmigrate.records import Document
from lbmigrate.rules.periods import EPOCH, label
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import id_texts
from lbmigrate.values.ids import parse_id

USERS, FEWEST = 150, 8  # users whose events are read, and fewer than which say nothing
MOST_EVENTS = 20_000  # of one user that are read
USUAL, UNKNOWN = 0.33, 2.0  # entries for each event and kind of period where nothing was seen, and how far off that is
GUESSED = 0.7  # how far off entries may be that are told from times alone


@dataclass(frozen=True, slots=True)
class Spread:
    """Users and entries for each event, and by how large a share the entries may be wrong; from how many users."""

    users: float
    entries: float
    error: float
    looked_at: int = 0


def spread(context: Context, samples: Mapping[str, Sample], weights: Mapping[str, float], left: Allowance) -> Spread:
    """From a few users who are drawn by their events; from the times of events where no index leads to a user's.

    `weights` are the events of each source.
    """
    sources = [source for source in context.config.sources if weights.get(source.name, 0) > 0]
    drawn = [(name, event) for name, sample in samples.items() for event in sample.drawn]
    if not drawn:
        return _unseen(context, sum(weights.values()))
    found: list[tuple[float, float]] = []
    if all(_leads_to_users(context, source) for source in sources):
        with left.spending():
            for user in _users(drawn, weights, samples):
                found.append(_of_user(context, sources, user))
                if not left.left:
                    break
    some = [each for each in found if each[0]]
    if len(some) < FEWEST:
        return _guessed(context, [event for _, event in drawn], sum(weights.values()))
    entries = [count / events for events, count in some]
    error = 2 * stdev(entries) / math.sqrt(len(entries)) / max(mean(entries), 1e-9)
    known = max(1, context.sources[context.config.users.collection].estimated_document_count()) / sum(weights.values())
    return Spread(min(known, mean(1 / events for events, _ in some)), mean(entries), error, len(some))


def _unseen(context: Context, number: float) -> Spread:
    """Where no event could be looked at, since the server took all the time or none can be scored: like usual tasks."""
    users = max(1, context.sources[context.config.users.collection].estimated_document_count())
    return Spread(min(1.0, users / number), USUAL * len(context.config.periods), UNKNOWN)


def of_ledger(context: Context, number: int) -> Spread:
    """The same of the events that are in the ledger, where nothing is left to read."""
    stages: list[Document] = [{"$sample": {"size": DRAWN}}, {"$project": {"createdAt": 1}}]
    events = list(context.target[EVENTS].aggregate(stages)) if number else []
    return _guessed(context, events, number) if events else Spread(0.0, 0.0, 0.0)


def _users(
    drawn: Sequence[tuple[str, Document]], weights: Mapping[str, float], samples: Mapping[str, Sample]
) -> Iterator[Any]:
    """Users of events, drawn as if from all events of all sources."""
    chances = [weights.get(name, 0) / len(samples[name].drawn) for name, _ in drawn]
    for _, event in random.Random(0).choices(drawn, chances, k=USERS):
        yield event["userId"]


def _leads_to_users(context: Context, source: Source) -> bool:
    return source.user.lookup is None and is_indexed(context.sources[source.collection], source.user.path)


def _of_user(context: Context, sources: Sequence[Source], user: Any) -> tuple[int, int]:
    """How many events a user has, and how many entries."""
    times: list[dt.datetime] = []
    for source in sources:
        asked = naming(context.sources, context.config, source.user, parse_id(id_texts([user])[0]))
        for some in read(context, source, asked):
            times += [event["createdAt"] for event in score(context, source, some).events]
            if len(times) > MOST_EVENTS:
                break
    inside = [time for time in times if context.scope.covers(time)]
    return len(inside), len(_periods(context, inside))


def _periods(context: Context, times: Sequence[dt.datetime]) -> set[str]:
    days = {(time.date() - EPOCH).days for time in times}
    return {label(kind, day) for kind in context.config.periods for day in days}


def _guessed(context: Context, events: Sequence[Document], number: float) -> Spread:
    """As if every user of the collection were as active as any other, all the time."""
    users = max(1, context.sources[context.config.users.collection].estimated_document_count())
    times = [event["createdAt"] for event in events]
    days = range((min(times).date() - EPOCH).days, (max(times).date() - EPOCH).days + 1)
    found = 0.0
    for kind in context.config.periods:
        periods = len({label(kind, day) for day in days})
        found += users * periods * -math.expm1(-number / (users * periods))
    return Spread(users * -math.expm1(-number / users) / number, found / number, GUESSED)
