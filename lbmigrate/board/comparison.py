"""The boards in Redis held against the entries, member by member, flat in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pymongo.collection import Collection

from lbmigrate.board.members import counted, standing_of, users_of
from lbmigrate.board.place import LONGEST_PERIOD, is_whole
from lbmigrate.board.sorted_sets import BATCH, GHOST, Score, SortedSets, Standing
from lbmigrate.records import Document, amount

FIELDS = {"userId": 1, "period": 1, "score": 1, "rev": 1, "createdAt": 1, "optOutSnapshot": 1}


@dataclass(frozen=True, slots=True)
class Difference:
    """A member whose score in Redis is not that of its entry; None where it is absent."""

    period: str
    member: str
    entry: Score | None
    board: Score | None

    def __str__(self) -> str:
        return f"{self.period}: {self.member} has {_said(self.board)} in Redis, {_said(self.entry)} in the entry"


def differences(sets: SortedSets, entries: Collection[Any], period: str) -> Iterator[Difference]:
    """Every member that differs, looked at twice: what an app writes meanwhile is no difference."""
    known = matched = 0
    for standings in in_batches(entries, period):
        known += len(standings)
        for found in _differing(sets, period, standings):
            again = _reread(entries, period, [found.member])
            yield from _differing(sets, period, again)
        matched += sum(score is not None for score in sets.scores(period, standings))
    if sets.size(period) > matched:
        yield from _strangers(sets, entries, period)


def periods_of(entries: Collection[Any]) -> list[str]:
    """The periods that have entries, by hops along the index: others may have written what is no name of one."""
    found: list[str] = []
    while row := entries.find_one(_behind(found), {"period": 1, "_id": 0}, sort=[("period", 1)]):
        found.append(row["period"])
    return found


def _behind(found: Sequence[str]) -> Document:
    named: Document = {"$type": "string", "$regex": f"^[^\n]{{1,{LONGEST_PERIOD}}}$"}
    return {"period": named | ({"$gt": found[-1]} if found else {})}


def in_batches(entries: Collection[Any], period: str) -> Iterator[list[Standing]]:
    """The entries of a period as they are to stand on its board."""
    found = (each for entry in entries.find({"period": period}, FIELDS) for each in counted(entry))
    while batch := list(islice(found, BATCH)):
        yield batch


def _differing(sets: SortedSets, period: str, standings: Sequence[Standing]) -> Iterator[Difference]:
    for standing, score in zip(standings, sets.scores(period, standings), strict=True):
        if score != standing.score:
            yield Difference(period, standing.member, standing.score, score)


def _strangers(sets: SortedSets, entries: Collection[Any], period: str) -> Iterator[Difference]:
    """Members without an entry; of ghosts only the number is known, so they are looked up by the entries' hashes."""
    members = sets.standings(period)
    while batch := list(islice(members, BATCH)):
        present = {each.member for each in _reread(entries, period, [member for member, _ in batch])}
        for member, score in batch:
            if member not in present and not member.startswith(GHOST):
                yield Difference(period, member, None, score)


def _reread(entries: Collection[Any], period: str, members: Sequence[str]) -> list[Standing]:
    ids = [form for member in members for form in users_of(member)]
    found: Iterator[Document] = entries.find({"userId": {"$in": ids}, "period": period}, FIELDS)
    return [standing_of(entry) for entry in found if is_whole(entry)]


def _said(score: Score | None) -> str:
    return "nothing" if score is None else amount(score, "point")
