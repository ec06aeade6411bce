"""The board beside a counter that the app had before: how far they agree, and whom people will ask about.

Nothing here is a mismatch: an old counter has other rules, and knows of history that was deleted since. The counter is
read once from end to end in the order of its key, the board by its index, so many users at a time; what is kept besides
is a sample of fixed size. So memory is the same for a thousand users and for ten million.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lbmigrate.counter.agreement import CLOSE, Agreement
from lbmigrate.counter.correlation import kendall, spearman
from lbmigrate.counter.meaning import Reasons, meaning
from lbmigrate.counter.numbers import Counter, numbers_of, taken
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.values.coerce import as_number
from lbmigrate.values.id_text import exact_text, id_text
from lbmigrate.values.ids import folded_id, id_forms, in_parts, portions
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.paths import projection_of

GLOBAL: Document = {"period": "global", "rev": {"$exists": True}}  # entries of ours
AT_ONCE = 1_000  # users
DRAWN, PAIRED = 100_000, 2_000  # pairs kept for the order of all, and of these for Kendall's, which is quadratic
FIRST = 10  # users named who differ most, and who have no counter
FIRST_LOOKED_AT = 200  # of the board, for those who have none
STEADY = 0.02  # how far apart the quarters of the ratios are, at most, where one factor explains them all


@dataclass(slots=True)
class _Tally:
    """What is counted while the counter is read."""

    counters: int = 0
    both: int = 0
    equal: int = 0
    close: int = 0
    higher: int = 0
    lower: int = 0
    only_counter: int = 0
    unreadable: int = 0
    unnamed: int = 0
    repeated: int = 0
    left: int = 0
    pairs: list[tuple[float, float]] = field(default_factory=list)
    most: list[tuple[float, int, Any, float, int | None]] = field(default_factory=list)
    draw: random.Random = field(default_factory=lambda: random.Random(0))

    def note(self, user: Any, counter: float, score: int | None) -> None:
        self.counters += 1
        if score is None:
            self.only_counter += counter != 0
        else:
            self._both(counter, score)
        apart = abs((score or 0) - counter)
        if apart:
            heapq.heappush(self.most, (apart, -self.counters, user, counter, score))
            if len(self.most) > FIRST:
                heapq.heappop(self.most)

    def _both(self, counter: float, score: int) -> None:
        self.both += 1
        self.equal += score == counter
        self.close += score != counter and abs(score - counter) <= CLOSE * max(abs(score), abs(counter))
        self.higher += score > counter
        self.lower += score < counter
        if len(self.pairs) < DRAWN:
            self.pairs.append((counter, float(score)))
        elif (place := self.draw.randrange(self.both)) < DRAWN:  # each pair so far is among them equally likely
            self.pairs[place] = (counter, float(score))


def compare(context: Context, counter: Counter) -> Agreement:
    """Compare the global board with a counter. Reads only."""
    tally = _Tally()
    for some in portions(numbers_of(context, counter, tally), lambda _: 0, AT_ONCE):
        scores = _scores(context, [user for user, _ in some])
        alone = [user for user, value in some if value and folded_id(user) not in scores]
        left = _left(context, alone)
        for user, value in some:
            if user in left:
                tally.left += 1
            else:
                tally.note(user, value, scores.get(folded_id(user)))
    return _agreement(context, counter, tally)


def _left(context: Context, users: Sequence[Any]) -> set[Any]:
    """Those who were forgotten, among users without an entry: they are named nowhere any more, and so not here."""
    leavers = Leavers(context.state) if users else ()  # each time again: it remembers everybody whom it was asked for
    return {user for user in users if user in leavers}


def _scores(context: Context, users: Sequence[Any]) -> dict[str, int]:
    """The global scores of these users, by their ids whichever form they have.

    Asked for by the `_id`: by `userId` a server would look at the entries of every week.
    """
    forms = [form for user in users for form in id_forms(user)]
    names = {f"global:{text}" for form in forms for text in (id_text(form), exact_text(form))}
    found: dict[str, int] = {}
    for part in in_parts(list(names)):
        rows = lenient(context.target)[ENTRIES].find({"_id": {"$in": part}, **GLOBAL}, {"userId": 1, "score": 1})
        found |= {folded_id(row["userId"]): int(row["score"]) for row in rows if isinstance(row.get("score"), int)}
    return found


def _agreement(context: Context, counter: Counter, tally: _Tally) -> Agreement:
    tally.draw.shuffle(tally.pairs)  # they came in the order of the key, which is that of age for many ids
    one, other = (np.array([pair[side] for pair in tally.pairs], dtype=np.float64) for side in (0, 1))
    entries = context.target[ENTRIES].count_documents(GLOBAL)
    ratio = _factor(one, other)
    explained = Reasons(context, ratio)
    differ = [(user, value, score) for _, _, user, value, score in sorted(tally.most, reverse=True)]
    found = Agreement(
        str(counter), tally.counters, tally.both, tally.equal, tally.close, tally.higher, tally.lower,
        tally.only_counter, max(entries - tally.both, 0), tally.unreadable, tally.unnamed, tally.repeated, tally.left,
        len(tally.pairs), spearman(one, other), kendall(one[:PAIRED], other[:PAIRED]), ratio,
        explained.of(differ), explained.of(_without_counter(context, counter)),
    )  # fmt: skip
    return replace(found, told=tuple(meaning(context, found)))


def _factor(counters: Any, scores: Any) -> float | None:
    """What nearly every score is to be multiplied by to be the counter; None where that is nothing, or 1."""
    usable = (scores > 0) & (counters > 0)
    if np.count_nonzero(usable) < 10:
        return None
    low, middle, high = np.quantile(counters[usable] / scores[usable], [0.25, 0.5, 0.75])
    steady = high - low <= STEADY * middle and abs(middle - 1) > STEADY
    return float(middle) if steady else None


def _without_counter(context: Context, counter: Counter) -> list[tuple[Any, None, int]]:
    """The first of the board who have no counter."""
    order = [("period", 1), ("score", -1), ("userId", -1)]
    rows = lenient(context.target)[ENTRIES].find(GLOBAL, {"userId": 1, "score": 1}).sort(order).limit(FIRST_LOOKED_AT)
    top = [(row["userId"], row["score"]) for row in rows if isinstance(row.get("score"), int)]
    top = [(user, int(score)) for user, score in top if names_a_user(user)]
    forms = [form for user, _ in top for form in id_forms(user)]
    paths = projection_of([counter.path, counter.key])
    asked = lenient(context.sources)[counter.collection].find({counter.key: {"$in": forms}}, paths)
    pairs = (taken(counter, row) for row in asked)
    have = {folded_id(user) for user, value in pairs if not math.isnan(as_number(value))}
    return [(user, None, score) for user, score in top if folded_id(user) not in have][:FIRST]
