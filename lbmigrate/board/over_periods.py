"""What is read of several periods at once, each of which may have a collection of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lbmigrate.board.numbering import Ask, Reading, Stages, number
from lbmigrate.board.place import PastPlace, is_whole, names_a_period, past_place_of
from lbmigrate.board.reading import SHOWN, InForce, of_users
from lbmigrate.board.ties import before

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

AT_ONCE = 200  # collections of single periods that are read by one command


def history(config: Config, in_force: InForce, ids: Sequence[Any], n: int) -> Reading[list[PastPlace]]:
    """A user's own places in the newest `n` periods, `global` first."""
    stages: Stages = [
        {"$match": {"userId": {"$in": list(ids)}}},
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
    entries = [entry for entry in found[:n] if is_whole(entry)]
    if not entries:
        return []
    ties, order = config.ranking.ties, in_force()
    counts = yield [Ask("entries", before(ties, order, entry), entry["period"]) for entry in entries]
    return [past_place_of(entry, 1 + number(count)) for entry, count in zip(entries, counts, strict=True)]


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
