"""Making the histograms that ranks come from (`board.histogram`), at the end of a run: where they are worth it."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.board.histogram import SIZE, Histogram
from lbmigrate.ledger.binding import identities
from lbmigrate.ledger.histograms import ATTEMPTS, Histograms
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, ENTRIES_BY_RANK, ENTRIES_MOVED, present_indexes

LEAST = 10_000  # entries of a period that is worth a histogram; of fewer a rank is counted in some milliseconds
OUTGROWN = 10 * SIZE  # entries of a bucket with several scores


class Making:
    """Makes the histograms of one leaderboard; only for who holds the lease (see `histograms`)."""

    def __init__(self, context: Context) -> None:
        self._target, self._histograms = context.target, Histograms(context)
        self._entries = self._target[ENTRIES]

    def heal(self) -> Iterator[tuple[str, int]]:
        """Make the histograms that are absent or outgrown: each period, and how many entries it has. Then settle all.

        The last thing that a run does: whoever it rolls up is rolled up.
        """
        if is_fake(self._target) or not self._is_indexed():
            return
        if self._entries.estimated_document_count() >= LEAST:
            kept = self._histograms.periods()
            for period in self._entries.distinct("period"):
                if isinstance(period, str) and self._needs_one(period, kept):
                    made = self._make(period)
                    if made:
                        yield period, made
        self._histograms.settle(0)

    def _is_indexed(self) -> bool:
        keys = {spec["key"] for spec in present_indexes(self._target, ENTRIES)}
        return {ENTRIES_MOVED.keys, ENTRIES_BY_RANK.keys} <= keys

    def _needs_one(self, period: str, kept: frozenset[str]) -> bool:
        if period in kept:
            histogram = Histogram.of(self._histograms.free(period))
            return histogram is None or any(self._outgrown(period, histogram))
        some = self._entries.find({"period": period}, {"_id": 0, "period": 1}).skip(LEAST - 1).limit(1)
        return any(True for _ in some)

    def _outgrown(self, period: str, histogram: Histogram) -> Iterator[bool]:
        for bucket, count in enumerate(histogram.counts):
            if count > OUTGROWN:
                end = histogram.end(bucket)
                within = {"$gte": histogram.bounds[bucket], **({} if end is None else {"$lt": end})}
                scores = self._entries.find({"period": period, "score": within}, {"_id": 0, "score": 1})
                ends = [next(iter(scores.clone().sort("score", way).limit(1)), None) for way in (1, -1)]
                yield ends[0] != ends[1]

    def _make(self, period: str) -> int:
        """How many entries the new histogram counts; 0 where somebody else writes the row all the time."""
        for _ in range(ATTEMPTS):
            row = self._histograms.free(period)
            histogram = Histogram.made(row["version"], self._scores(period))
            fields = {**histogram.row(), "of": identities(self._target).get(ENTRIES)}
            if self._histograms.write(row, fields):
                return histogram.above[0]
        return 0

    def _scores(self, period: str) -> Iterator[tuple[int, int]]:
        """As which scores the entries are counted, ascending, each with how many."""
        counted = {"$cond": [{"$eq": [{"$type": "$moved"}, "object"]}, "$moved.from", "$score"]}
        stages: list[Document] = [
            {"$match": {"_id": {"$gte": f"{period}:", "$lt": f"{period};"}, "period": period}},
            {"$group": {"_id": counted, "n": {"$sum": 1}}},
            {"$match": {"_id": {"$type": ["int", "long"]}}},
            {"$sort": {"_id": 1}},
        ]
        for row in self._entries.aggregate(stages, hint="_id_", allowDiskUse=True):
            yield row["_id"], row["n"]
