"""A batch of changes ends before its ids are more than memory has room for."""

from __future__ import annotations

import datetime as dt
from itertools import count

from bson import Timestamp

from lbmigrate.live import changes


class Stream:
    """Changes of documents with ids of a million characters."""

    def __init__(self) -> None:
        self.given = 0

    def try_next(self):
        self.given += 1
        key = {"_id": f"{self.given}{'x' * 1_000_000}"}
        at = Timestamp(int(dt.datetime(2025, 1, 1).timestamp()), self.given)
        return {"operationType": "insert", "ns": {"coll": "tasks"}, "documentKey": key, "clusterTime": at}


def test_a_batch_of_large_ids_is_short_and_the_next_one_goes_on_after_it():
    stream, clock = Stream(), count(step=1e-6).__next__
    sizes = [changes.gathered(stream, clock).size for _ in range(2)]
    assert sizes == [4, 4]
    assert stream.given == 8
