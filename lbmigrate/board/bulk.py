"""The entries of a period as scores for a sorted set, a million in seconds: most of them are read in columns.

Those are shown users whose id is an ObjectId. Whatever is otherwise is read one by one. Who changes from one kind to
the other between the two readings is published meanwhile, which settles it (`sorted_sets`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import bson
from pymongo.collection import Collection

from lbmigrate.board.comparison import FIELDS
from lbmigrate.board.members import standing_of
from lbmigrate.board.place import is_whole
from lbmigrate.board.sorted_sets import BATCH, EXACT, Standing, refuse_inexact
from lbmigrate.records import Document

USUAL: Document = {
    "optOutSnapshot": {"$ne": True},
    "userId": {"$type": "objectId"},
    "score": {"$type": "long"},
    "rev": {"$exists": True},
}
READ_AT_ONCE = 20_000  # entries
HEX = 24  # digits of an ObjectId


def usual(entries: Collection[Any], period: str) -> Iterator[dict[str, int]]:
    """Members with their scores, where an entry is as most are. Raises LbmigrateError for a score beyond EXACT."""
    asked = {"period": period, **USUAL}
    batches = entries.find_raw_batches(asked, {"_id": 0, "userId": 1, "score": 1}, batch_size=READ_AT_ONCE)
    with ThreadPoolExecutor(1) as ahead:  # the server reads the next batch while this one is on its way to Redis
        coming = ahead.submit(next, batches, b"")
        while raw := coming.result():
            coming = ahead.submit(next, batches, b"")
            yield _scores(raw)


def others(entries: Collection[Any], period: str) -> Iterator[list[Standing]]:
    """The entries that are not so: of hidden users, and of users with other ids."""
    found = entries.find({"period": period, "$nor": [USUAL]}, FIELDS)
    standings = (standing_of(entry) for entry in found if is_whole(entry))
    while batch := list(islice(standings, BATCH)):
        yield batch


def _scores(raw: bytes) -> dict[str, int]:
    from lbmigrate.values import raw_bson  # noqa: PLC0415 - numpy: an app that shows a board need not load it

    found = raw_bson.columns(raw)
    if found is None or found.keys() != {"userId", "score"}:  # fields may come in any order
        return {str(each["userId"]): _exact(each["userId"], each["score"]) for each in bson.decode_all(raw)}
    digits, scores = found["userId"].values.tobytes().hex(), found["score"].numbers()
    members = [digits[start : start + HEX] for start in range(0, len(digits), HEX)]
    for row in ((scores > EXACT) | (scores < -EXACT)).nonzero()[0].tolist():
        refuse_inexact(members[row], int(scores[row]))
    return dict(zip(members, scores.tolist(), strict=True))


def _exact(user: Any, score: int) -> int:
    if abs(score) > EXACT:
        refuse_inexact(str(user), score)
    return int(score)
