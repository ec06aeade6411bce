"""What is read of several periods at once, each of which may have a collection of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lbmigrate.board.numbering import Ask, Reading, Stages, number
from lbmigrate.board.place import PastPlace, is_whole, names_a_period, past_place_of
from lbmigrate.board.reading import SHOWN, InForce, of_users
from lbmigrate.board.ties import before
from lbmigrate.records import Document

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

AT_ONCE = 200  # periods that one command reads: a server takes 1,000 stages, and a collection is one or more
# What others have put there takes no place in a history; the documents are read anyway.
LIKE_OURS: Document = {"score": {"$type": ["int", "long"]}, "rev": {"$exists": True}}


def history(config: Config, in_force: InForce, ids: Sequence[Any], n: int) -> Reading[list[PastPlace]]:
    """A user's own places in the newest `n` periods, `global` first."""
    stages: Stages = [
        {"$match": {"userId": {"$in": list(ids)}, **LIKE_OURS}},
        {"$sort": {"period": -1}},
        {"$limit": max(n, 1)},
        SHOWN,
    ]
    [found, own] = yield [Ask("entries", stages), Ask("partitions", [])]
    newest = sorted((each["period"] for each in own), reverse=True)
    found = [entry for entry in found if entry["period"] not in newest]  # copies that a run moves
    while newest and len(found) < n + 1:  # `global` is read already, and first
        some, newest = newest[:AT_ONCE], newest[AT_ONCE:]
        found += [row for rows in (yield [of_users(ids, period) for period in some]) for row in rows]
    found.sort(key=lambda entry: str(entry["period"]), reverse=True)
    order = in_force()
    entries = [entry for entry in found if is_whole(entry) and order.has_place(entry)][:n]
    places: list[PastPlace] = []
    for some in (entries[start : start + AT_ONCE] for start in range(0, len(entries), AT_ONCE)):
        asks = [Ask("entries", before(config.ranking.ties, order, entry), entry["period"]) for entry in some]
        counts = yield asks
        places += [past_place_of(entry, 1 + number(count)) for entry, count in zip(some, counts, strict=True)]
    return places


def periods() -> Reading[list[str]]:
    """Every period that has entries, the newest first."""
    asked = Ask("entries", [{"$sort": {"period": 1}}, {"$group": {"_id": "$period"}}])
    [found, own] = yield [asked, Ask("partitions", [])]
    names, owners = [each["_id"] for each in found], [each["period"] for each in own]
    for start in range(0, len(owners), AT_ONCE):
        some = owners[start : start + AT_ONCE]
        first: Stages = [{"$limit": 1}, {"$project": {"_id": 1}}]
        present = yield [Ask("entries", first, period) for period in some]
        names += [period for period, rows in zip(some, present, strict=True) if rows]
    return sorted(dict.fromkeys(filter(names_a_period, names)), reverse=True)
