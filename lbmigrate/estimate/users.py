"""How many users and entries some events come to, told from all events of a few users.

Whoever has many events is drawn more often. Dividing by their number makes up for that: on the average over events,
1/(events of the user) is users for each event, and entries/(events of the user) is entries for each event.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from lbmigrate.board.lookup import naming
from lbmigrate.config.model import Source
from lbmigrate.estimate.leaders import Person
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
GUESSED_USERS, MOST_GUESSED = 30, 500  # users who are made up where none was seen, and the events of each
GUESSED = 0.7  # how far off entries may be that are told from times alone


@dataclass(frozen=True, slots=True)
class Spread:
    """Users and entries for each event, and by how large a share the entries may be wrong; from how many users.

    `people` are users who were drawn by their events, `seen` each of them once.
    """

    users: float
    entries: float
    error: float
    looked_at: int = 0
    people: tuple[Person, ...] = field(default=(), repr=False)
    seen: tuple[Person, ...] = field(default=(), repr=False)


def spread(context: Context, samples: Mapping[str, Sample], weights: Mapping[str, float], left: Allowance) -> Spread:
    """From a few users who are drawn by their events; from the times of events where no index leads to a user's.

    `weights` are the events of each source.
    """
    sources = [source for source in context.config.sources if weights.get(source.name, 0) > 0]
    drawn = [(name, event) for name, sample in samples.items() for event in sample.drawn]
    if not drawn:
        return _unseen(context, sum(weights.values()))
    found: dict[str, Person] = {}
    names: list[str] = []
    if all(_leads_to_users(context, source) for source in sources):
        with left.spending():
            for user in _users(drawn, weights, samples):
                names += id_texts([user])
                if names[-1] not in found:
                    found[names[-1]] = _of_user(context, sources, user)
                if not left.left:
                    break
    people = tuple(found[name] for name in names if name in found and found[name].events)
    if len(people) < FEWEST:
        return _guessed(context, [event for _, event in drawn], sum(weights.values()))
    entries = [each.entries / each.events for each in people]
    error = 2 * stdev(entries) / math.sqrt(len(entries)) / max(mean(entries), 1e-9)
    known = max(1, context.sources[context.config.users.collection].estimated_document_count()) / sum(weights.values())
    users = min(known, mean(1 / each.events for each in people))
    return Spread(
        users, mean(entries), error, len(people), people, tuple(each for each in found.values() if each.events)
    )


def _unseen(context: Context, number: float) -> Spread:
    """Where no event could be looked at, since the server took all the time or none can be scored: like usual tasks."""
    users = max(1, context.sources[context.config.users.collection].estimated_document_count())
    return Spread(min(1.0, users / number), USUAL * len(context.config.periods), UNKNOWN)


def of_ledger(context: Context, number: int) -> Spread:
    """The same of the events that are in the ledger, where nothing is left to read."""
    stages: list[Document] = [{"$sample": {"size": DRAWN}}, {"$project": {"createdAt": 1, "points": 1}}]
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


def _of_user(context: Context, sources: Sequence[Source], user: Any) -> Person:
    """All events of a user, and the entries that these come to."""
    found: list[tuple[dt.datetime, int]] = []
    for source in sources:
        asked = naming(context.sources, context.config, source.user, parse_id(id_texts([user])[0]))
        for some in read(context, source, asked):
            found += [(event["createdAt"], event["points"]) for event in score(context, source, some).events]
            if len(found) > MOST_EVENTS:
                break
    return person(context.config.periods, [each for each in found if context.scope.covers(each[0])])


def person(kinds: Sequence[str], events: Sequence[tuple[dt.datetime, float]]) -> Person:
    """A user with events at these times, each worth so many points."""
    days = Counter[int]()
    for at, points in events:
        days[(at.date() - EPOCH).days] += points  # type: ignore[assignment]
    scores = {kind: Counter[str]() for kind in kinds}
    for kind, found in scores.items():
        for day, points in days.items():
            found[label(kind, day)] += points
    return Person(len(events), scores)


def _guessed(context: Context, events: Sequence[Document], number: float) -> Spread:
    """As if every user of the collection were as active as any other, all the time."""
    users = max(1, context.sources[context.config.users.collection].estimated_document_count())
    times = [event["createdAt"] for event in events]
    days = range((min(times).date() - EPOCH).days, (max(times).date() - EPOCH).days + 1)
    found = 0.0
    for kind in context.config.periods:
        periods = len({label(kind, day) for day in days})
        found += users * periods * -math.expm1(-number / (users * periods))
    people = _alike(context.config.periods, events, number / users)
    return Spread(users * -math.expm1(-number / users) / number, found / number, GUESSED, people=people, seen=people)


def _alike(kinds: Sequence[str], events: Sequence[Document], each: float) -> tuple[Person, ...]:
    """Some users who had `each` events, at times and worth points like these."""
    lot = random.Random(0)
    number = min(MOST_GUESSED, max(1, round(each)))
    drawn = [lot.choices(events, k=number) for _ in range(GUESSED_USERS)]
    return tuple(person(kinds, [(event["createdAt"], event.get("points", 0)) for event in some]) for some in drawn)
