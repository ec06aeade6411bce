"""Entries that are changed only where they are still as they were read, on a real server."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64
from pymongo import MongoClient

from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import entry_writes
from lbmigrate.ledger.changes import update
from lbmigrate.ledger.entries import held
from lbmigrate.ledger.entry_writes import change_entries
from lbmigrate.schema import ENTRIES

pytestmark = pytest.mark.usefixtures("mongod")
NOW, MADE = dt.datetime(2026, 5, 1), dt.datetime(2026, 4, 1)
ENTRY = {
    "_id": "global:ada",
    "userId": "ada",
    "period": "global",
    "score": Int64(10),
    "rev": Int64(3),
    "createdAt": MADE,
}
FIELDS = {"score": Int64(30), "displayNameSnapshot": "$score", "avatarSnapshot": "$$ROOT"}
MOVED = {"period": "global", "from": 10}


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    monkeypatch.setattr(entry_writes, "PIECE", 7)


def change(database, found, fields=FIELDS, marked=(), listed=()):
    """What an entry that was read as `found` is changed to; and the users who are to be looked at again."""
    updates = [update(held({**found}), {**fields}, NOW, marked, listed)]
    lost = change_entries(database[ENTRIES], updates, [found["userId"]])
    return database[ENTRIES].find_one({"_id": found["_id"]}), lost


@pytest.fixture
def entries(database):
    database[ENTRIES].drop()
    database[ENTRIES].insert_one({**ENTRY, "note": "kept"})
    return database[ENTRIES]


def test_an_entry_that_is_as_it_was_read_gets_the_fields_as_they_are_and_keeps_all_others(database, entries):
    stamps = {"rev": 4, "updatedAt": NOW, "lastUpdated": NOW}
    assert change(database, ENTRY) == ({**ENTRY, "note": "kept", **FIELDS, **stamps}, [])


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"$set": {"rev": Int64(4)}},
        {"$set": {"createdAt": NOW}},
        {"$unset": {"rev": ""}},
        {"$unset": {"createdAt": ""}},
        {"$set": {"rev": None}},
        {"$set": {"rev": "3"}},
    ],
    ids=str,
)
def test_an_entry_that_another_one_wrote_meanwhile_stays_as_it_is_and_its_user_is_looked_at_again(
    database, entries, meanwhile
):
    entries.update_one({"_id": ENTRY["_id"]}, meanwhile)
    before = entries.find_one()
    assert change(database, ENTRY) == (before, ["ada"])


def test_of_an_entry_that_went_meanwhile_nothing_comes_back(database, entries):
    entries.delete_many({})
    assert change(database, ENTRY) == (None, ["ada"])


@pytest.mark.parametrize("rev", [Int64(3), 3], ids=["long", "int"])
def test_a_whole_number_of_either_size_is_the_same_revision(database, entries, rev):
    entries.update_one({}, {"$set": {"rev": rev}})
    stored, lost = change(database, {**ENTRY, "rev": Int64(3)})
    assert (stored["score"], stored["rev"], lost) == (30, 4, [])


@pytest.mark.parametrize("rev", ["three", 3.5, None, [3]], ids=str)
def test_a_revision_that_nobody_counts_up_is_replaced_by_the_first_one(database, entries, rev):
    entries.update_one({}, {"$set": {"rev": rev}})
    stored, lost = change(database, {**ENTRY, "rev": rev})
    assert (stored["score"], stored["rev"], lost) == (30, 1, [])


@pytest.mark.parametrize("moved", [MOVED, "by hand"], ids=str)
def test_a_mark_goes_where_the_histogram_lists_the_entry(database, entries, moved):
    entries.update_one({}, {"$set": {"moved": moved}})
    stored, lost = change(database, {**ENTRY, "moved": moved}, marked=["global"], listed=["global:ada"])
    assert ("moved" in stored, stored["score"], lost) == (False, 30, [])


def test_an_entry_that_no_histogram_lists_says_as_what_it_is_counted(database, entries):
    stored, lost = change(database, ENTRY, marked=["global"])
    assert (stored["moved"], lost) == (MOVED, [])


def test_changes_of_one_command_are_each_for_their_own_entry(database, entries):
    others = [{**ENTRY, "_id": f"global:{name}", "userId": name, "rev": Int64(n)} for n, name in enumerate("bcd")]
    entries.insert_many(others)
    entries.update_one({"_id": "global:c"}, {"$inc": {"rev": 1}})
    updates = [update(held({**each}), {"score": Int64(7)}, NOW, (), ()) for each in others]
    assert change_entries(entries, updates, ["b", "c", "d"]) == ["b", "c", "d"]
    assert {e["_id"]: e["score"] for e in entries.find()} == {
        "global:ada": 10, "global:b": 7, "global:c": 10, "global:d": 7,
    }  # fmt: skip


def two_are_idle():
    return 2


@pytest.mark.parametrize("lost", [None, 77])
def test_changes_that_several_hands_send_are_each_made_once(database, entries, lost):
    people = [{**ENTRY, "_id": f"global:{n}", "userId": n} for n in range(120)]
    entries.insert_many(people)
    entries.update_one({"userId": lost}, {"$inc": {"rev": 1}})
    updates = [update(held({**each}), {"score": Int64(each["userId"])}, NOW, (), ()) for each in people]
    again = change_entries(entries, updates, list(range(120)), two_are_idle)
    assert again == ([] if lost is None else list(range(120)))
    stored = {e["userId"]: (e["score"], e["rev"]) for e in entries.find({"userId": {"$ne": "ada"}})}
    assert stored == {n: (10, 4) if n == lost else (n, 4) for n in range(120)}


def test_what_one_hand_is_refused_is_raised_and_the_others_are_made(database, entries):
    people = [{**ENTRY, "_id": f"global:{n}", "userId": n} for n in range(120)]
    entries.insert_many(people)
    updates = [update(held({**each}), {"score": Int64(7)}, NOW, (), ()) for each in people]
    updates[5] = ({"_id": "global:5"}, [{"$replaceWith": {"_id": "another"}}])
    with pytest.raises(LbmigrateError, match="refused an entry"):
        change_entries(entries, updates, list(range(120)), two_are_idle)
    assert entries.count_documents({"score": 7}) == 119


def test_a_server_remembers_no_updates_in_case_they_are_sent_again(database, entries, server_uri):
    with MongoClient(server_uri) as sender:
        sender.admin.command("ping")  # only then does the driver know what it is connected to
        before = remembered(database)
        updates = [update(held({**ENTRY}), {"score": Int64(7)}, NOW, (), ())]
        assert change_entries(sender[database.name][ENTRIES], updates, ["ada"]) == []
        assert remembered(database) == before
        sender[database.name]["others"].insert_one({})
        assert len(remembered(database) - before) == 1
    assert entries.find_one()["score"] == 7


def remembered(database):
    """The sessions of which a server remembers a write."""
    return {str(row["_id"]["id"]) for row in database.client["config"]["transactions"].find({}, {"_id": 1})}
