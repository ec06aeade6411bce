"""Which ranks those have who share a score, as `ranking.ties` says: what is to be read for that, and what it comes to.

| `ties` | ranks of the scores 30, 20, 20, 10 | a rank is one more than there are |
|---|---|---|
| `competition` | 1, 2, 2, 4 | entries with a higher score |
| `dense` | 1, 2, 2, 3 | higher scores that somebody has |
| `ordinal` | 1, 2, 3, 4 | entries that stand before it: with a higher score, or with the same and before it (`order`) |

Hidden entries count in each. Nothing of it is stored: index, histograms and sorted sets order entries as ever, so
another kind is in force as soon as the configuration says so. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from bson import Decimal128

from lbmigrate.board.order import Order, Position
from lbmigrate.records import Document
from lbmigrate.values.ids import exact_key

Ties = Literal["competition", "dense", "ordinal"]
RankOf = Callable[[Document], int]
Stages = list[Document]
COUNT: Document = {"$count": "n"}
EACH: Document = {"$group": {"_id": "$score"}}
NOTHING: Document = {"_id": {"$in": []}}


def before(ties: Ties, order: Order, entry: Document) -> Stages:
    """The stages that count, as `n`, how many stand before an entry in its period."""
    higher = {"score": {"$gt": entry["score"]}}
    if ties != "ordinal":
        return [{"$match": {"period": entry["period"], **higher}}, *([EACH] if ties == "dense" else []), COUNT]
    return [{"$match": {"period": entry["period"], "$or": order.beyond(order.position(entry), 1)}}, COUNT]


def standing(ties: Ties, entries: Iterable[Document]) -> RankOf:
    """The ranks of the entries with which a board begins, none left out; whatever has a number for a score counts."""
    by_score: dict[int, int] = {}
    by_entry: dict[int, int] = {}
    numbers = [entry for entry in entries if _is_number(entry.get("score"))]
    seen, last = 0, None
    for position, entry in enumerate(numbers, start=1):
        score = entry["score"]
        seen, last = seen + (score != last), score
        if isinstance(score, int):
            by_score.setdefault(score, seen if ties == "dense" else position)
        by_entry[id(entry)] = position
    return (lambda entry: by_entry[id(entry)]) if ties == "ordinal" else (lambda entry: by_score[entry["score"]])


def _is_number(score: Any) -> bool:
    return isinstance(score, int | float | Decimal128) and type(score) is not bool


def higher_scores(period: str, scores: Sequence[int]) -> tuple[Stages, Stages]:
    """What counts the scores above all of these, and what reads those from the highest to the lowest of them."""
    within = {"$lte": max(scores), "$gte": min(scores)}
    above = [{"$match": {"period": period, "score": {"$gt": max(scores)}}}, EACH, COUNT]
    return above, [{"$match": {"period": period, "score": within}}, EACH]


def dense(scores: Iterable[int], above: int, within: Iterable[Document]) -> RankOf:
    """Ranks from what `higher_scores` has found."""
    known = sorted({-row["_id"] for row in within if isinstance(row["_id"], int | float)} | {-each for each in scores})
    return lambda entry: 1 + above + bisect_left(known, -entry["score"])


class Tied:
    """Some entries of a period by the scores that they share: where each stands among all who have its score."""

    def __init__(self, order: Order, period: str, entries: Iterable[Document]) -> None:
        self._order, self._period = order, period
        self._groups: dict[int, list[Position]] = defaultdict(list)
        for entry in entries:
            self._groups[entry["score"]].append(order.position(entry))

    def stages(self) -> list[Stages]:
        """For each score two readings: how many stand above the first of its entries, and who from it to the last."""
        found: list[Stages] = []
        for score, places in self._groups.items():
            same: Document = {"period": self._period, "score": score}
            above, within = self._order.span(places)
            read = [{"$sort": self._order.sort(-1)}, {"$project": {"_id": 0, "userId": 1}}]
            counted: Stages = [{"$match": {**same, "$or": above} if above else NOTHING}, COUNT]
            found += [counted, [{"$match": {**same, "$or": within}}, *read]]
        return found

    def ranks(self, found: Sequence[Sequence[Document]], of_score: RankOf) -> RankOf:
        """Ranks from what `stages` have found, and from the rank of the first who has a score."""
        places: dict[Any, int] = {}
        for score, counted, rows in zip(self._groups, found[::2], found[1::2], strict=True):
            above = counted[0]["n"] if counted else 0
            places |= {(score, exact_key(row["userId"])): above + place for place, row in enumerate(rows)}
        return lambda entry: of_score(entry) + places.get((entry["score"], exact_key(entry["userId"])), 0)
