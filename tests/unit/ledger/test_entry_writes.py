"""What a server says of entries that it did not take."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

import bson
import pytest
from bson import CodecOptions
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, BulkWriteError

from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.batches import Ready
from lbmigrate.ledger.entry_writes import change_entries, insert_entries
from lbmigrate.mongo.faults import is_transient

REFUSED = {"index": 0, "code": 121, "errmsg": "Document failed validation"}
NOT_NOW = {"index": 1, "code": 189, "errmsg": "a shard has another primary"}


def write(verb: str, *failures: Any) -> None:
    """Have a server say this of a write of entries."""
    collection = create_autospec(Collection, instance=True)
    collection.name, collection.codec_options = "leaderboard_entries", CodecOptions()
    sent = Ready(bson.encode({"_id": "global:1"}))
    error = BulkWriteError({"writeErrors": [{**each, "op": sent} for each in failures], "writeConcernErrors": []})
    collection.database.command.side_effect = AutoReconnect()
    collection.insert_many.side_effect = collection.bulk_write.side_effect = error
    if verb == "insert":
        insert_entries(collection, [{"_id": "global:1"}], lambda _: None)
    else:
        change_entries(collection, [({}, {"$set": {"score": 1}})], [1])


@pytest.mark.parametrize("verb", ["insert", "change"])
def test_entries_that_a_server_could_not_take_for_now_are_tried_again(verb):
    with pytest.raises(BulkWriteError) as raised:
        write(verb, REFUSED, NOT_NOW)
    assert is_transient(raised.value)


@pytest.mark.parametrize("verb", ["insert", "change"])
def test_an_entry_that_a_server_refuses_is_named(verb):
    with pytest.raises(LbmigrateError, match="failed validation"):
        write(verb, REFUSED)
