"""Making the histograms that ranks come from (`board.histogram`), at the end of a run: where they are worth it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbmigrate.board.histogram import ROW, SIZE, Histogram
from lbmigrate.board.numbering import uses_histograms
from lbmigrate.ledger.binding import identities
from lbmigrate.ledger.histograms import ATTEMPTS, Histograms
from lbmigrate.ledger.newcomers import is_in_order
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Checkpoint, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, ENTRIES_BY_RANK, ENTRIES_MOVED, present_collections, present_indexes
from lbmigrate.schema.layout import Layout, homes, period_of
from lbmigrate.state import layouts

LEAST = 10_000  # entries of a period that is worth a histogram; of fewer a rank is counted in some milliseconds
SOME_MORE = 5  # such a part of them
NEWEST = 10 * LEAST  # entries of which is asked in which periods they are; of more, every period is looked at
OUTGROWN = 10 * SIZE  # entries of a bucket with several scores


class Making:
    """Makes the histograms of one leaderboard; only for who holds the lease (see `histograms`)."""

    def __init__(self, context: Context) -> None:
        self._target, self._state, self._histograms = context.target, context.state, Histograms(context)
        self._used = uses_histograms(context.config) and not is_fake(context.target)
        self._anew = context.scope.full and not context.scope.bounded
        self._seen: int | None = None  # entries, where all periods were looked at

    def heal(self) -> Iterator[tuple[str, int]]:
        """Make the histograms that are absent or outgrown: each period, and how many entries it has. Then settle all.

        The last thing that a run does: whoever it rolls up is rolled up. One that computes all entries again makes all
        histograms anew, for what it has found otherwise nobody may have counted.
        """
        layout = layouts.now(self._state)
        if not self._used or layout.moving:
            return
        kept = self._histograms.periods()
        for period in self._periods(layout):
            if self._needs_one(period, kept):
                made = self._make(period)
                if made:
                    yield period, made
        self._histograms.settle(0)

    def looked(self) -> Checkpoint | None:
        """What to remember once `heal` has ended: where no entries come until the next run, it need not look again."""
        kept = self._state.get(ROW).get("entries")
        return None if self._seen is None or self._seen == kept else Checkpoint(ROW, {"entries": self._seen})

    def _periods(self, layout: Layout) -> Iterator[str]:
        """The periods that may need one: those that have a row and, where many entries came since, theirs.

        Of these, those in a collection that has enough entries, and the indexes to find them. Such a look goes through
        the index of ranks; so a period may have a part of LEAST more before it gets one.
        """
        sizes = {name: self._target[name].estimated_document_count() for name in homes(self._target, layout)}
        total, before = sum(sizes.values()), self._state.get(ROW).get("entries")
        came = None if before is None or self._anew else abs(total - before)
        if came is not None:
            yield from sorted(kept := self._histograms.periods(counted=False))
            if not came or came < LEAST // SOME_MORE:
                return
        self._seen = total
        present = present_collections(self._target)
        for name in (name for name, size in sizes.items() if size >= LEAST):
            if self._is_indexed(name, present):
                periods = self._in(name, came, present) if name == ENTRIES else [period_of(name)]
                here = (each for each in periods if type(each) is str and layout.home(each) == name)
                yield from (each for each in here if came is None or each not in kept)
            else:
                self._seen = None

    def _in(self, name: str, came: int | None, present: dict[str, Document]) -> list[Any]:
        """The periods of all entries, or of those that `came` last.

        Where others went as well, these are not all that came: whose period is missed so gets its histogram later.
        """
        if came is None or came > NEWEST or not is_in_order(self._target, name, present):
            return self._target[name].distinct("period")
        newest: list[Document] = [{"$limit": came}, {"$group": {"_id": "$period"}}]
        return [row["_id"] for row in self._target[name].aggregate(newest, hint={"$natural": -1})]

    def _is_indexed(self, name: str, present: dict[str, Document]) -> bool:
        keys = {spec["key"] for spec in present_indexes(self._target, name, present)}
        return {ENTRIES_MOVED.keys, ENTRIES_BY_RANK.keys} <= keys

    def _needs_one(self, period: str, kept: frozenset[str]) -> bool:
        if period in kept:
            histogram = Histogram.of(self._histograms.free(period))
            return self._anew or histogram is None or any(self._outgrown(period, histogram))
        entries = self._histograms.home(period)
        some = entries.find({"period": period}, {"_id": 0, "period": 1}).skip(LEAST - 1).limit(1)
        return any(True for _ in some)

    def _outgrown(self, period: str, histogram: Histogram) -> Iterator[bool]:
        for bucket, count in enumerate(histogram.counts):
            if count > OUTGROWN:
                end = histogram.end(bucket)
                within = {"$gte": histogram.bounds[bucket], **({} if end is None else {"$lt": end})}
                scores = self._histograms.home(period).find({"period": period, "score": within}, {"_id": 0, "score": 1})
                ends = [next(iter(scores.clone().sort("score", way).limit(1)), None) for way in (1, -1)]
                yield ends[0] != ends[1]

    def _make(self, period: str) -> int:
        """How many entries the new histogram counts; 0 where somebody else writes the row all the time."""
        for _ in range(ATTEMPTS):
            row = self._histograms.free(period)
            layout = layouts.now(self._state)  # after the row: who moves entries says so before that is written again
            if layout.moving:
                return 0
            home = layout.home(period)
            histogram = Histogram.made(row["version"], self._scores(home, period))
            fields = {**histogram.row(), "of": identities(self._target, (home,)).get(home)}
            if self._histograms.write(row, fields):
                return histogram.above[0]
        return 0

    def _scores(self, home: str, period: str) -> Iterator[tuple[int, int]]:
        """As which scores the entries are counted, ascending, each with how many."""
        counted = {"$cond": [{"$eq": [{"$type": "$moved"}, "object"]}, "$moved.from", "$score"]}
        stages: list[Document] = [
            {"$match": {"_id": {"$gte": f"{period}:", "$lt": f"{period};"}, "period": period}},
            {"$group": {"_id": counted, "n": {"$sum": 1}}},
            {"$match": {"_id": {"$type": ["int", "long"]}}},
            {"$sort": {"_id": 1}},
        ]
        for row in self._target[home].aggregate(stages, hint="_id_", allowDiskUse=True):
            yield row["_id"], row["n"]
