"""How many entries of a period have which scores: exact ranks without counting everybody above.

The histogram of a period is a row of the state (`ranks:<period>`), kept by `ledger.histograms`. It is made once and
not written at every change of a score. An entry that has changed since says so itself, in the same write: `moved` has
the period, and `from`, the score as which the histogram counts the entry, null if it does not count it. So at every
instant, whoever writes, dies or sleeps:

    entries above a score = what the histogram counts above it
                          + the moved entries that have a higher score - those that are counted with a higher one

`from` never changes while the row has one `version`, however often the entry does. A question reads, in this order, the
row; its version, for another server may answer from here on, which is behind; the unmoved entries of the buckets in
which the scores in question lie (at most SIZE of them, unless they have one score); the moved entries; and the version
once more. Is it the same each time, then an entry that is not among the moved ones has not changed since the row was
read, so it was seen where it is counted; and a moved one counts with the score that it had when it was read. So each
entry counts once, with a score that it had between the question and the answer: a rank is exact, and lies between the
ranks of that time where scores only grow. Is it another one, they are counted.

Entries that are being settled into the histogram are listed in its row, and count by that list until they are (see
`ledger.histograms`). What people write into the entries by hand no histogram knows of, until it is made again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from bson import ObjectId

from lbmigrate.board.ties import by_value
from lbmigrate.records import Document

ROW = "ranks"  # in the state, one for each period
SIZE = 500  # entries that a bucket has when it is made, unless more have one score
MOST_BUCKETS = 8  # from which single entries are read for one question
WORTH = 4 * SIZE  # entries; fewer are counted as quickly
LOWEST = -(2**63)


@dataclass(frozen=True, slots=True)
class Listed:
    """Entries that are being settled, with the revisions that change and the scores as which they are counted.

    `counted` says whether they are to be counted as they are from then on, or not at all any more.
    """

    counted: bool
    entries: Sequence[Document]

    def row(self) -> Document:
        return {"counted": self.counted, "entries": list(self.entries)}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Buckets by their lowest scores, ascending, and how many entries each has. Each write makes a new `version`."""

    version: ObjectId
    bounds: Sequence[int]
    counts: Sequence[int]
    listed: Listed | None = None
    above: Sequence[int] = field(init=False)  # how many entries the buckets from each one on have

    def __post_init__(self) -> None:
        object.__setattr__(self, "above", [*accumulate(reversed(self.counts), initial=0)][::-1])

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Histogram | None:
        """What a row keeps; None where it keeps none, or somebody has changed it."""
        version, bounds, counts = row.get("version"), _numbers(row.get("bounds")), _numbers(row.get("counts"))
        if not isinstance(version, ObjectId) or not bounds or len(bounds) != len(counts) or bounds[0] != LOWEST:
            return None
        listed = listed_of(row)
        return None if listed is None and "changing" in row else cls(version, bounds, counts, listed)

    @classmethod
    def made(cls, version: ObjectId, scores: Iterable[tuple[int, int]]) -> Histogram:
        """From ascending scores, each with how many entries have it."""
        bounds, counts = [LOWEST], [0]
        for score, number in scores:
            if counts[-1] and counts[-1] + number > SIZE:
                bounds.append(score)
                counts.append(0)
            counts[-1] += number
        return cls(version, bounds, counts)

    def row(self) -> Document:
        return {"bounds": array("q", self.bounds).tobytes(), "counts": array("q", self.counts).tobytes()}

    def bucket(self, score: int) -> int:
        return bisect_right(self.bounds, score) - 1

    def end(self, bucket: int) -> int | None:
        """The lowest score beyond a bucket; None for the highest one."""
        return self.bounds[bucket + 1] if bucket + 1 < len(self.bounds) else None

    def settled(self, now: Mapping[str, int | None]) -> Histogram:
        """With the listed entries counted as `now` says: by their ids, as which score, or not."""
        counts = list(self.counts)
        for each in self.listed.entries if self.listed else ():
            for score, by in ((each["from"], -1), (now.get(each["entry"]), 1)):
                if score is not None:
                    counts[self.bucket(score)] += by
        return Histogram(self.version, self.bounds, counts)

    # --- a question ------------------------------------------------------------------------------------------------

    def helps(self, scores: Iterable[int]) -> bool:
        """Whether ranks of these scores are had more quickly than by counting."""
        buckets = {self.bucket(score) for score in scores}
        return len(buckets) <= MOST_BUCKETS and self.above[max(buckets) + 1] >= WORTH

    def readings(self, period: str, scores: Iterable[int]) -> list[list[Document]]:
        """The stages that read the entries that `ranks` needs, in this order, between two looks at the row."""
        lowest: dict[int, int] = {}
        for score in scores:
            bucket = self.bucket(score)
            lowest[bucket] = min(score, lowest.get(bucket, score))
        within = [_within(period, score, self.end(bucket)) for bucket, score in lowest.items()]
        ids = self._ids()
        moved = [{"$match": {"moved.period": period, **({"_id": {"$nin": ids}} if ids else {})}}, *_read(counted=True)]
        return [*within, moved, *([[{"$match": {"_id": {"$in": ids}}}, *_read(counted=False)]] if ids else [])]

    def is_in(self, rows: Sequence[Document]) -> bool:
        """Whether what was found is the row from which this was read."""
        return [row.get("version") for row in rows] == [self.version]

    def ranks(self, scores: Iterable[int], rows: Sequence[Document]) -> dict[int, int]:
        """The competition rank of each of the scores, from what `readings` found while the row was there."""
        moved = {_key(row["moved"]): row for row in rows if "moved" in row}
        unmoved = sorted(
            by_value(row["score"]) for row in rows if "score" in row and _key(row.get("userId")) not in moved
        )
        now = sorted(row["now"] for row in moved.values() if isinstance(row.get("now"), int))
        then = sorted(score for score in map(_counted, moved.values()) if score is not None)
        for each in self.listed.entries if self.listed else ():
            if each["from"] is not None:
                then.insert(bisect_right(then, each["from"]), each["from"])
        return {score: 1 + self._above(score, unmoved, now, then) for score in scores}

    def _above(self, score: int, unmoved: Sequence[int], now: Sequence[int], then: Sequence[int]) -> int:
        """How many are above a score; each of the sequences ascends."""
        bucket = self.bucket(score)
        end, whole = self.end(bucket), self.above[bucket + 1]
        within = (len(unmoved) if end is None else bisect_left(unmoved, end)) - bisect_right(unmoved, score)
        counted_beyond = 0 if end is None else len(then) - bisect_left(then, end)
        return whole + within + (len(now) - bisect_right(now, score)) - counted_beyond

    def _ids(self) -> list[str]:
        return [each["entry"] for each in self.listed.entries] if self.listed else []


def counted_as(entry: Mapping[str, Any]) -> int | None:
    """The score as which a histogram counts an entry; None if it does not."""
    moved = entry.get("moved")
    score = moved.get("from") if isinstance(moved, Mapping) else entry.get("score")
    return score if _is_whole(score) else None


def moved_from(entry: Mapping[str, Any] | None, period: str) -> Document:
    """The mark of an entry that is to have another score, as it stands now; of one that is new, None."""
    return {"period": period, "from": counted_as(entry) if entry else None}


def listed_of(row: Mapping[str, Any]) -> Listed | None:
    """The entries that are being settled; None where there are none, or the list is not one of ours."""
    kept = row.get("changing")
    if not isinstance(kept, Mapping) or not isinstance(kept.get("entries"), list):
        return None
    return Listed(kept.get("counted") is True, kept["entries"]) if all(map(_is_listed, kept["entries"])) else None


def _is_listed(each: Any) -> bool:
    if not isinstance(each, Mapping) or not {"entry", "rev", "from"} <= each.keys():
        return False
    return (
        isinstance(each["entry"], str) and _is_whole(each["rev"]) and (each["from"] is None or _is_whole(each["from"]))
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(value: Any) -> Sequence[int]:
    if not isinstance(value, bytes) or len(value) % 8:
        return ()
    return array("q", value)


def _key(user: Any) -> Any:
    """A user as a key; what names nobody, and others have put there, may be no key."""
    return user if isinstance(user, Hashable) else str(user)


def _counted(row: Document) -> int | None:
    value = row.get("then")
    return value if isinstance(value, int) else None


def _within(period: str, score: int, end: int | None) -> list[Document]:
    """The scores above one and below the end of its bucket, with their users; nothing but the index is read."""
    condition = {"$gt": score} if end is None else {"$gt": score, "$lt": end}
    return [{"$match": {"period": period, "score": condition}}, {"$project": {"_id": 0, "userId": 1, "score": 1}}]


def _read(counted: bool) -> list[Document]:
    then = {"then": "$moved.from"} if counted else {}
    return [{"$project": {"_id": 0, "moved": "$userId", "now": "$score", **then}}]
