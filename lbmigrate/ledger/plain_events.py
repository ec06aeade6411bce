"""The ledger of users who have no entries yet, read without a filter: there nearly every event counts.

To say which events count (`schema.COUNTED`) takes the server a third of the time of reading them. Here that is told
from their bytes. Where one may not count, or anything else is unusual, all of them are read with the filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from bson import ObjectId
from pymongo.database import Database

from lbmigrate.ledger import raw_reads
from lbmigrate.ledger.walk import BATCH
from lbmigrate.records import EARLIEST, LATEST, MOST_POINTS, Document
from lbmigrate.schema import EVENTS
from lbmigrate.values.documents import Documents
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.raw_bson import DATE, INT64, READERS, STRING, Column, of_rows

FIELDS = {"userId": 1, "points": 1, "createdAt": 1, "meta.reason": 1, "meta.forgotten": 1}
KINDS = (ObjectId, str, int)  # of users that READERS has
NOTHING = bytes([5, 0, 0, 0, 0])  # an empty document
_MILLISECONDS = [int(np.datetime64(each, "ms").astype(np.int64)) for each in (EARLIEST, LATEST)]

Columns = tuple[list[Any], Any, Any, None]  # users, points and times, in step; every event stands


class NotPlain(Exception):
    """Some of these events may not count, or not stand."""


def plain_events(database: Database[Any], users: Document) -> Iterator[Columns]:
    """The events of some users, a bounded number at a time. Raises NotPlain."""
    named = users["$in"] if "$in" in users else users.values()
    if not all(isinstance(each, KINDS) for each in islice(named, 2)):
        raise NotPlain
    for batch in raw_reads.read(database[EVENTS], {"userId": users}, FIELDS, BATCH):
        yield _columns(batch)


def _columns(batch: Documents) -> Columns:
    owners = np.empty(len(batch), dtype=object)
    points, times = np.empty(len(batch), dtype=np.int64), np.empty(len(batch), dtype=np.int64)
    for numbers in batch.by_length():
        found = _plain(of_rows(batch.rows(numbers, int(batch.lengths[numbers[0]]))))
        owners[numbers] = found["userId"].ids()
        points[numbers], times[numbers] = found["points"].numbers(), found["createdAt"].numbers()
    counting = (points >= -MOST_POINTS) & (points <= MOST_POINTS)
    if not (counting & (times >= _MILLISECONDS[0]) & (times < _MILLISECONDS[1])).all():
        raise NotPlain
    return owners.tolist(), points, times.view("datetime64[ms]"), None


def _plain(found: dict[str, Column] | None) -> dict[str, Column]:
    """Events of one length whose users can be read in columns and name somebody, and that count as they are."""
    if found is None or not {"_id", "userId", "points", "createdAt"} <= found.keys():
        raise NotPlain
    name, users, kinds = found["_id"], found["userId"], (found["points"].kind, found["createdAt"].kind)
    usual = name.kind == STRING and kinds == (INT64, DATE) and users.kind in READERS
    if not usual or (name.values & 0x80).any() or ("meta" in found and found["meta"].values[0].tobytes() != NOTHING):
        raise NotPlain
    if users.kind == STRING and not all(map(names_a_user, dict.fromkeys(users.ids()))):
        raise NotPlain
    return found
