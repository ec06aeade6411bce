from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from pymongo.database import Database
from pymongo.errors import WriteError

from lbmigrate import schema
from lbmigrate.mongo import indexes
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.values.id_text import exact_text, id_text

DOCUMENT_VALIDATION_FAILURE = 121
NAIVE = json_util.JSONOptions(tz_aware=False)
NOON = dt.datetime(2025, 11, 4, 12)
TASK = ObjectId("6b079f526e4a82f744e81abd")
EVENT: Document = {
    "_id": f"task_complete:{TASK}",
    "userId": ObjectId(),
    "actionType": "task_complete",
    "points": Int64(10),
    "sourceId": TASK,
    "meta": {"origin": "backfill"},
    "createdAt": NOON,
}
ENTRY: Document = {
    "_id": "global:1",
    "userId": ObjectId(),
    "period": "global",
    "score": Int64(10),
    "streak": 1,
    "lastUpdated": NOON,
    "optOutSnapshot": False,
    "displayNameSnapshot": "Ann",
    "avatarSnapshot": None,
    "createdAt": NOON,
    "updatedAt": NOON,
    "events": Int64(1),
    "lastEventAt": NOON,
    "rev": Int64(1),
}
WRONG: dict[str, list[Any]] = {
    "_id": [1, ObjectId()],
    "userId": [None, True, 1.5, NOON, {"id": 1}, ["a"], Decimal128("1")],
    "actionType": [None, 1],
    "points": [10, 10.0, "10", None, Decimal128("10")],
    "meta": [None, "x", ["x"]],
    "createdAt": [None, "2025-11-04", 1762257600000, Int64(1762257600000)],
    "period": [None, 2025],
    "score": [10, 10.0, "10", None],
    "events": [1, 1.0, None],
    "rev": [1, None],
    "streak": [1.0, "1", None],
    "lastUpdated": ["now", None],
    "lastEventAt": ["now", None],
    "updatedAt": ["now", None],
    "optOutSnapshot": [None, 0, "no"],
    "displayNameSnapshot": [1, {"first": "Ann"}],
    "avatarSnapshot": [1, b"png"],
}
every_sample = pytest.mark.parametrize(("name", "sample"), [(EVENTS, EVENT), (ENTRIES, ENTRY)], ids=[EVENTS, ENTRIES])


@pytest.fixture
def made(database: Database[Document]) -> Database[Document]:
    """A database with the collections and the indexes as they should be."""
    for name in schema.missing_collections(database):
        schema.create_collection(database, name)
    for index in schema.missing_indexes(database):
        indexes.build(database, index.collection, [index.spec])
    return database


def refuses(database: Database[Document], name: str, document: Document) -> bool:
    try:
        database[name].insert_one(document)
    except WriteError as error:
        return error.code == DOCUMENT_VALIDATION_FAILURE
    database[name].delete_one({"_id": document["_id"]})
    return False


# what is created


def test_a_virgin_database_lacks_everything_and_differs_in_nothing(database: Database[Document]) -> None:
    assert schema.missing_collections(database) == [EVENTS, ENTRIES, REJECTS]
    assert schema.missing_indexes(database) == list(schema.INDEXES)
    assert schema.differences(database) == []
    assert database.list_collection_names() == []


def test_what_was_created_lacks_nothing_and_differs_in_nothing(made: Database[Document]) -> None:
    assert schema.missing_collections(made) == []
    assert schema.missing_indexes(made) == []
    assert schema.differences(made) == []


def test_creating_an_index_twice_changes_nothing(made: Database[Document]) -> None:
    before = [schema.present_indexes(made, name) for name in (EVENTS, ENTRIES, REJECTS)]
    for index in schema.INDEXES:
        indexes.build(made, index.collection, [index.spec])
    assert [schema.present_indexes(made, name) for name in (EVENTS, ENTRIES, REJECTS)] == before


def test_only_rejects_expire(made: Database[Document]) -> None:
    specs = {name: schema.present_indexes(made, name) for name in (EVENTS, ENTRIES, REJECTS)}
    assert [name for name in specs if any("expireAfterSeconds" in spec for spec in specs[name])] == [REJECTS]
    assert schema.expiring(made) == []


# validators


@every_sample
def test_our_documents_are_accepted(made: Database[Document], name: str, sample: Document) -> None:
    assert not refuses(made, name, sample)


def kind(value: object) -> str:
    return type(value).__name__


@every_sample
@pytest.mark.parametrize("user", [ObjectId(), "ann", 7, Int64(7), Binary.from_uuid(uuid.uuid4())], ids=kind)
def test_every_kind_of_user_id_is_accepted(made: Database[Document], name: str, sample: Document, user: Any) -> None:
    assert not refuses(made, name, {**sample, "userId": user})


SOURCES = [
    ObjectId(), "a", "a#1", "a/b", '"', "{}", 7, Int64(2**40), 7.0, 1795646312070.0, 1.5, float("nan"), 1e30,
    Decimal128("7"), uuid.uuid4(), Binary(bytes(16), 3), Binary(b"x"), {"list": 1, "item": 2}, NOON, True,
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=kind)
@pytest.mark.parametrize("ending", ["", "#1", "#23"])
def test_an_event_of_every_kind_of_source_is_accepted(made: Database[Document], source: Any, ending: str) -> None:
    for text in {id_text(source), exact_text(source)}:
        assert not refuses(made, EVENTS, {**EVENT, "_id": f"task_complete:{text}{ending}", "sourceId": source})


def test_an_app_may_write_the_source_of_an_event_as_its_digits(made: Database[Document]) -> None:
    assert not refuses(made, EVENTS, {**EVENT, "sourceId": str(TASK)})


def test_a_user_id_that_javascript_wrote_is_accepted_in_an_event(made: Database[Document]) -> None:
    assert not refuses(made, EVENTS, {**EVENT, "userId": 1795646312070.0})
    assert refuses(made, EVENTS, {**EVENT, "userId": float("nan")})


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("admin_bonus:1", {}),
        ("task_complete:6b079f526e4a82f744e81abe", {}),
        (f"task_complete:{TASK}#0", {}),
        (f"task_complete:{TASK}#1x", {}),
        (f"task_complete:{TASK}#", {}),
        (f"task_complete:{TASK}x#1", {}),
        (f"task_complete:{TASK}", {"actionType": "focus_session"}),
        (f"focus_session:{TASK}", {}),
        ("task_complete:7.0", {"sourceId": 7.0}),
        ("task_complete:8", {"sourceId": 7}),
        ("live", {"sourceId": {"a": 1}}),
    ],
)
def test_an_event_whose_id_does_not_fit_is_refused(made: Database[Document], name: str, fields: Document) -> None:
    assert refuses(made, EVENTS, {**EVENT, "_id": name, **fields})


@every_sample
def test_the_validator_of_an_earlier_version_is_told_and_what_is_told_brings_it_up_to_date(
    made: Database[Document], name: str, sample: Document
) -> None:
    made.command("collMod", name, validator=schema.FORMER_VALIDATORS[name])
    (told,) = schema.differences(made)
    command = told.partition("db.runCommand(")[2].removesuffix(")")
    command = re.sub(r"ISODate\((.*?)\)", r'{"$date": \1}', command)  # what mongosh reads as a date
    quoted = command.replace("{collMod:", '{"collMod":', 1).replace(" validator:", ' "validator":', 1)
    made.command(json_util.loads(quoted, json_options=NAIVE))
    assert schema.differences(made) == []
    assert not refuses(made, name, sample)


@every_sample
def test_a_wrong_type_is_refused_in_every_field(made: Database[Document], name: str, sample: Document) -> None:
    for field in sample.keys() - {"sourceId"}:
        for value in WRONG[field]:
            assert refuses(made, name, {**sample, field: value}), (field, value)


@pytest.mark.parametrize(
    ("name", "sample", "required"),
    [
        (EVENTS, EVENT, EVENT.keys() - {"_id"}),
        (ENTRIES, ENTRY, {"userId", "period", "score", "events", "rev"}),
    ],
    ids=[EVENTS, ENTRIES],
)
def test_no_document_lacks_what_decides_a_score(
    made: Database[Document], name: str, sample: Document, required: set[str]
) -> None:
    for field in required:
        assert refuses(made, name, {key: value for key, value in sample.items() if key != field}), field


def test_fields_that_an_app_adds_are_its_own_affair(made: Database[Document]) -> None:
    assert not refuses(made, ENTRIES, {**ENTRY, "badge": "gold"})


# differences


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"validator": {}}, "score_events has no validator; lbmigrate leaves it as it is"),
        ({"validator": {"points": {"$gt": 0}}}, "score_events has another validator; lbmigrate leaves it as it is"),
        ({"validationAction": "warn"}, "score_events has another validator; lbmigrate leaves it as it is"),
        ({"validationLevel": "off"}, "score_events has another validator; lbmigrate leaves it as it is"),
    ],
    ids=["missing", "other", "warning-only", "switched-off"],
)
def test_a_validator_that_is_missing_or_another_is_told(
    made: Database[Document], change: Document, sentence: str
) -> None:
    made.command("collMod", EVENTS, **change)
    assert schema.differences(made) == [sentence]


@pytest.mark.parametrize(
    ("option", "value"),
    [("unique", True), ("sparse", True), ("partialFilterExpression", {"userId": {"$exists": True}})],
)
def test_an_index_on_our_keys_that_may_refuse_or_hide_events_is_told(
    made: Database[Document], option: str, value: Any
) -> None:
    made[EVENTS].drop_indexes()
    made[EVENTS].create_index([("userId", 1), ("createdAt", 1)], name="theirs", **{option: value})
    assert schema.missing_indexes(made) == []
    assert schema.differences(made) == [
        f"score_events.theirs is {option}: it may refuse or hide events; drop that index"
    ]


@pytest.mark.parametrize("name", [EVENTS, ENTRIES])
def test_a_ttl_on_leaderboard_data_is_told_whatever_its_keys(made: Database[Document], name: str) -> None:
    made[name].create_index("createdAt", expireAfterSeconds=10**9)
    told = [f"{name}.createdAt_1 has a TTL: leaderboard data would vanish; drop that index"]
    assert schema.differences(made) == told
    assert schema.expiring(made) == told


def test_an_index_of_our_name_with_other_keys_is_told_and_counts_as_missing(made: Database[Document]) -> None:
    made[ENTRIES].drop_index("userId_1")
    made[ENTRIES].create_index("name", name="userId_1")
    assert schema.missing_indexes(made) == [schema.ENTRIES_BY_USER]
    assert schema.differences(made) == [
        "leaderboard_entries.userId_1 has other keys than its name says; drop or rename that index"
    ]


def test_our_keys_under_another_name_are_as_good(made: Database[Document]) -> None:
    made[ENTRIES].drop_indexes()
    made[ENTRIES].create_index([("period", 1), ("score", -1), ("userId", -1)], name="board")
    by_user = {"key": {"userId": 1.0}, "name": "by_user"}  # a direction as the old shell writes it
    made.command("createIndexes", ENTRIES, indexes=[by_user])
    made[ENTRIES].create_index("moved.period", name="moved", sparse=True)
    assert schema.missing_indexes(made) == []
    assert schema.differences(made) == []


def test_the_same_fields_in_another_order_or_direction_are_another_index(made: Database[Document]) -> None:
    made[ENTRIES].drop_indexes()
    made[ENTRIES].create_index([("period", 1), ("score", 1), ("userId", 1)])
    made[ENTRIES].create_index([("userId", 1), ("period", 1)])
    assert schema.missing_indexes(made) == [schema.ENTRIES_BY_RANK, schema.ENTRIES_BY_USER, schema.ENTRIES_MOVED]
    assert schema.differences(made) == []


def test_indexes_that_an_app_adds_are_its_own_affair(made: Database[Document]) -> None:
    made[EVENTS].create_index("meta.priority", sparse=True)
    made[ENTRIES].create_index([("userId", 1), ("period", 1)], unique=True)
    assert schema.differences(made) == []
