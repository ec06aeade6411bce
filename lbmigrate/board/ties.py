"""Which ranks those have who share a score, as `ranking.ties` says: what is to be read for that, and what it comes to.

| `ties` | ranks of the scores 30, 20, 20, 10 | a rank is one more than there are |
|---|---|---|
| `competition` | 1, 2, 2, 4 | entries with a higher score |
| `dense` | 1, 2, 2, 3 | higher scores that somebody has |
| `ordinal` | 1, 2, 3, 4 | entries that stand before it: with a higher score, or with the same and a higher user id |

Hidden entries count in each. Nothing of it is stored: index, histograms and sorted sets order entries as ever, so
another kind is in force as soon as the configuration says so. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from bson import Decimal128

from lbmigrate.records import Document
from lbmigrate.values.brackets import rank
from lbmigrate.values.ids import exact_key

Ties = Literal["competition", "dense", "ordinal"]
RankOf = Callable[[Document], int]
Stages = list[Document]
COUNT: Document = {"$count": "n"}
EACH: Document = {"$group": {"_id": "$score"}}


def before(ties: Ties, entry: Document) -> Stages:
    """The stages that count, as `n`, how many stand before an entry in its period."""
    higher = {"score": {"$gt": entry["score"]}}
    if ties != "ordinal":
        return [{"$match": {"period": entry["period"], **higher}}, *([EACH] if ties == "dense" else []), COUNT]
    same = {"score": entry["score"], "userId": {"$gt": entry["userId"]}}
    return [{"$match": {"period": entry["period"], "$or": [higher, same]}}, COUNT]


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

    def __init__(self, period: str, entries: Iterable[Document]) -> None:
        groups: dict[int, list[Any]] = defaultdict(list)
        for entry in entries:
            groups[entry["score"]].append(entry["userId"])
        self._period = period
        self._ends = {score: (min(users, key=_order), max(users, key=_order)) for score, users in groups.items()}

    def stages(self) -> list[Stages]:
        """For each score two readings: how many stand above the first of its entries, and who from it to the last."""
        found: list[Stages] = []
        for score, (lowest, highest) in self._ends.items():
            same: Document = {"period": self._period, "score": score}
            between = {**same, "userId": {"$gte": lowest, "$lte": highest}}
            read = [{"$match": between}, {"$sort": {"userId": -1}}, {"$project": {"_id": 0, "userId": 1}}]
            found += [[{"$match": {**same, "userId": {"$gt": highest}}}, COUNT], read]
        return found

    def ranks(self, found: Sequence[Sequence[Document]], of_score: RankOf) -> RankOf:
        """Ranks from what `stages` have found, and from the rank of the first who has a score."""
        places: dict[Any, int] = {}
        for score, counted, rows in zip(self._ends, found[::2], found[1::2], strict=True):
            above = counted[0]["n"] if counted else 0
            places |= {(score, exact_key(row["userId"])): above + place for place, row in enumerate(rows)}
        return lambda entry: of_score(entry) + places.get((entry["score"], exact_key(entry["userId"])), 0)


def _order(user: Any) -> tuple[int, str, Any]:
    """Sorts users as the server does: all of one type, as they are in a ledger."""
    return rank(user), type(user).__name__, user
