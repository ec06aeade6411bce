"""Which ranks those have who share a score, as `ranking.ties` says: what is to be read for that, and what it comes to.

| `ties` | ranks of the scores 30, 20, 20, 10 | a rank is one more than there are |
|---|---|---|
| `competition` | 1, 2, 2, 4 | entries with a higher score |
| `dense` | 1, 2, 2, 3 | higher scores that somebody has |
| `ordinal` | 1, 2, 3, 4 | entries that stand before it: with a higher score, or with the same and before it (`order`) |

Hidden entries count in each. Nothing of it is stored: index, histograms and sorted sets order entries as ever, so
another kind is in force as soon as the configuration says so. Whatever has a number for a score counts, of any type
and whoever wrote it; text, null and the rest do not. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal

from bson import Decimal128

from lbmigrate.board.order import Order
from lbmigrate.records import Document
from lbmigrate.values.brackets import is_nan
from lbmigrate.values.ids import exact_key

Ties = Literal["competition", "dense", "ordinal"]
RankOf = Callable[[Document], int]
Stages = list[Document]
COUNT: Document = {"$count": "n"}
EACH: Document = {"$group": {"_id": "$score"}}
NOTHING: Document = {"_id": {"$in": []}}
KEYS: Document = {"$project": {"_id": 0, "userId": 1, "score": 1}}


def before(ties: Ties, order: Order, entry: Document) -> Stages:
    """The stages that count, as `n`, how many stand before an entry in its period."""
    higher = {"score": {"$gt": entry["score"]}}
    if ties != "ordinal":
        return [{"$match": {"period": entry["period"], **higher}}, *([EACH] if ties == "dense" else []), COUNT]
    return [{"$match": {"period": entry["period"], "$or": order.beyond(order.position(entry), 1)}}, COUNT]


def standing(ties: Ties, entries: Iterable[Document]) -> RankOf:
    """The ranks of the entries with which a board begins, none left out: all that have a number for a score."""
    by_score: dict[Any, int] = {}
    by_entry: dict[int, int] = {}
    for position, entry in enumerate(entries, start=1):
        score = by_value(entry["score"])
        by_score.setdefault(score, len(by_score) + 1 if ties == "dense" else position)
        by_entry[id(entry)] = position
    return (lambda entry: by_entry[id(entry)]) if ties == "ordinal" else (lambda entry: by_score[entry["score"]])


def by_value(score: Any) -> Any:
    """A number of any type as one that equals others of its value; numbers of other types are counted too."""
    return score.to_decimal() if isinstance(score, Decimal128) else score


def number_of(score: Any) -> int | float | None:
    """A score that is a number, whoever has written it; None for one that does not count."""
    number = float(score.to_decimal()) if isinstance(score, Decimal128) else score
    counts = isinstance(number, int | float) and type(number) is not bool and not is_nan(number)
    return number if counts else None


def higher_scores(period: str, scores: Sequence[int]) -> tuple[Stages, Stages]:
    """What counts the scores above all of these, and what reads those from the highest to the lowest of them."""
    within = {"$lte": max(scores), "$gte": min(scores)}
    above = [{"$match": {"period": period, "score": {"$gt": max(scores)}}}, EACH, COUNT]
    return above, [{"$match": {"period": period, "score": within}}, EACH]


def dense(scores: Iterable[int], above: int, within: Iterable[Document]) -> RankOf:
    """Ranks from what `higher_scores` has found."""
    known = sorted({-by_value(row["_id"]) for row in within} | {-each for each in scores})
    return lambda entry: 1 + above + bisect_left(known, -entry["score"])


class Run:
    """Entries that stand next to each other but for hidden ones, best first: their ranks from that of the first."""

    def __init__(self, order: Order, period: str, entries: Sequence[Document]) -> None:
        self._order, self._period = order, period
        self._entries, self._first, self._last = entries, entries[0], entries[-1]
        self.scores = [self._first["score"]]

    def stages(self) -> list[Stages]:
        """Two readings: how many of its score stand above the first entry, and who from it to the last."""
        order, first, last = self._order, self._order.position(self._first), self._order.position(self._last)
        above = [{"score": first.score, **each} for each in order.tied(first, 1)]
        found = [_one_of(self._period, above, COUNT)]
        if self._last is self._first:
            return found
        if first.score == last.score:
            within = [{"score": first.score, **each} for each in order.between(first, last)]
        else:
            down, up = [*order.tied(first, -1), {"userId": first.user}], [*order.tied(last, 1), {"userId": last.user}]
            within = [{"score": {"$lt": first.score, "$gt": last.score}}]
            within += [{"score": end.score, **each} for end, some in ((first, down), (last, up)) for each in some]
        return [*found, _one_of(self._period, within, {"$sort": {"period": 1, **order.sort(-1)}}, KEYS)]

    def ranks(self, found: Sequence[Sequence[Document]], of_score: RankOf) -> RankOf:
        """Ranks from what `stages` have found, and from the rank of the first who has the score of the first."""
        first = of_score(self._first) + (found[0][0]["n"] if found[0] else 0)
        places = _places(self._entries, found[1] if len(found) > 1 else [])
        return lambda entry: first + places.get(exact_key(entry["userId"]), 0)


class Scattered:
    """Entries from anywhere in a period, best first: where each stands among all who have its score."""

    def __init__(self, order: Order, period: str, entries: Iterable[Document]) -> None:
        self._order, self._period = order, period
        self._groups: dict[int, list[Document]] = defaultdict(list)
        for entry in entries:
            self._groups[entry["score"]].append(entry)
        self.scores = list(self._groups)

    def stages(self) -> list[Stages]:
        """Two readings: how many stand above the first of each score, and who from it to the last, where there are two.

        Each of them is one however many scores there are.
        """
        order, above, within = self._order, list[Document](), list[Document]()
        for score, entries in self._groups.items():
            first, last = order.position(entries[0]), order.position(entries[-1])
            above += [{"score": score, **each} for each in order.tied(first, 1)]
            within += [{"score": score, **each} for each in order.between(first, last)] if len(entries) > 1 else []
        each_score: Document = {"$group": {"_id": "$score", "n": {"$sum": 1}}}
        by_order: Document = {"$sort": order.sort(-1)}
        return [
            _one_of(self._period, above, each_score),
            *([_one_of(self._period, within, by_order, KEYS)] if within else []),
        ]

    def ranks(self, found: Sequence[Sequence[Document]], of_score: RankOf) -> RankOf:
        """Ranks from what `stages` have found, and from the rank of the first who has a score."""
        above: dict[Any, int] = {by_value(row["_id"]): row["n"] for row in found[0]}
        rows: dict[Any, list[Document]] = defaultdict(list)
        for row in found[1] if len(found) > 1 else []:
            rows[by_value(row["score"])].append(row)
        places = {score: _places(entries, rows[score]) for score, entries in self._groups.items()}

        def rank_of(entry: Document) -> int:
            score = entry["score"]
            return of_score(entry) + above.get(score, 0) + places[score].get(exact_key(entry["userId"]), 0)

        return rank_of


def _one_of(period: str, conditions: Sequence[Document], *then: Document) -> Stages:
    return [{"$match": {"period": period, "$or": list(conditions)} if conditions else NOTHING}, *then]


def _places(entries: Sequence[Document], rows: Sequence[Document]) -> dict[Hashable, int]:
    """How far behind the first of some entries the others stand, among these rows; who has left them, as before."""
    known = {exact_key(entry["userId"]): place for place, entry in enumerate(entries)}
    keys = [exact_key(row.get("userId")) for row in rows]
    first = next(iter(known))
    start = keys.index(first) if first in keys else 0
    return known | {key: place - start for place, key in enumerate(keys)}
