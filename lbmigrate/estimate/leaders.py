"""Whom a verification of a sample looks at: who is drawn, and whoever is among the first of any period. Pure.

A board by day has hundreds of periods, and who is first changes from one to the next: of some hundred users nearly all
have been it once. So it is told from a few users with all their scores: how high the first of a period stand, and who
ever stood there. Of equal scores the highest ids go first, in every period the same: few users win all of those.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, mean

from lbmigrate.run.context import VerifyOptions
from lbmigrate.verify.choose import FEW

TOP = VerifyOptions().top
ODD = 5 * FEW  # users with many events, few, one, an opt-out, and the newest: of each case FEW
PLACES = tuple((place + 0.5) / 10 for place in range(10))  # of a user by the id, as a share of all who are before


@dataclass(frozen=True, slots=True)
class Person:
    """A user: how many events, and the scores of the entries, by kind and period."""

    events: float
    scores: Mapping[str, Mapping[str, float]]

    @property
    def entries(self) -> int:
        return sum(map(len, self.scores.values()))


@dataclass(frozen=True, slots=True)
class Looked:
    """How many users a verification looks at, with how many events and entries."""

    users: float = 0.0
    events: float = 0.0
    entries: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """Where the first of a usual period begin: above `score` are all of them, of `tied` with just that `left`."""

    score: float
    tied: float
    left: float

    def wins(self, place: float) -> float:
        """How likely a user at that place by the id, with this very score, is among the first."""
        others = self.tied - 1
        if others < self.left:
            return 1.0
        spread = math.sqrt(others * place * (1 - place))
        return NormalDist(others * place, max(spread, 1e-6)).cdf(self.left - 0.5)


def periods(people: Sequence[Person], kind: str, users: float) -> float:
    """How many periods of a kind there are, told from those that some of the `users` have entries of.

    How many were not seen follows from how many were seen once and twice (Chao).
    """
    seen = Counter(period for person in people for period in person.scores.get(kind, ()))
    often = Counter(seen.values())
    unseen = often[1] ** 2 / (2 * max(1, often[2])) * max(0.0, 1 - len(people) / max(1.0, users))
    return len(seen) + unseen


def line(people: Sequence[Person], kind: str, entries: float, number: float) -> Line:
    """Where the first of a period begin, if there are so many `entries` in a `number` of periods of a kind.

    `people` were drawn by their events: whoever has twice as many stands for half as many users.
    """
    weights: dict[float, float] = defaultdict(float)
    for person in people:
        for score in person.scores.get(kind, {}).values():
            weights[score] += 1 / person.events
    each, above = entries / max(1.0, number) / max(1e-12, sum(weights.values())), 0.0
    for score in sorted(weights, reverse=True):
        if above + weights[score] * each >= TOP:
            return Line(score, weights[score] * each, TOP - above)
        above += weights[score] * each
    return Line(-math.inf, 0.0, 0.0)  # all of them are among the first


def ever_first(person: Person, lines: Mapping[str, Line]) -> float:
    """How likely a user is among the first of any period."""
    equal = Counter[str]()
    for kind, at in lines.items():
        scores = person.scores.get(kind, {}).values()
        if any(score > at.score for score in scores):
            return 1.0
        equal[kind] = sum(score == at.score for score in scores)
    return mean(1 - math.prod((1 - lines[kind].wins(place)) ** equal[kind] for kind in lines) for place in PLACES)


def looked_at(
    people: Sequence[Person], events: float, users: float, numbers: Mapping[str, float], drawn: float
) -> Looked:
    """Whom a verification looks at that draws so many of the `users`; `numbers` are the periods of each kind."""
    if not people or drawn >= users:
        entries = events * mean(each.entries / each.events for each in people) if people else 0.0
        return Looked(min(drawn, users), events, entries)
    by_lot = min(1.0, (drawn + ODD) / users)
    lines = {kind: line(people, kind, events * _each(people, kind), number) for kind, number in numbers.items()}
    found = [(each, by_lot + (1 - by_lot) * ever_first(each, lines)) for each in people]
    return Looked(
        min(users, events * mean(chance / each.events for each, chance in found)),
        events * mean(chance for _, chance in found),
        events * mean(chance * each.entries / each.events for each, chance in found),
    )


def _each(people: Sequence[Person], kind: str) -> float:
    """Entries of a kind for each event."""
    return mean(len(each.scores.get(kind, ())) / each.events for each in people)
