from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson import Binary, ObjectId
from pymongo.database import Database

from lbmigrate.board.profiles import profiles_of
from lbmigrate.config.model import Config
from lbmigrate.mongo import fake
from lbmigrate.records import Document

HEX = "65a0c0ffee65a0c0ffee65a0"
UUID = uuid.UUID("6f1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
SOURCE = {"name": "tasks", "collection": "tasks", "action": "done", "user": "userId", "at": "doneAt", "points": 1}
HIDDEN = {"optOutSnapshot": True, "displayNameSnapshot": "Ann", "avatarSnapshot": None}
ABSENT = {"optOutSnapshot": False, "displayNameSnapshot": None, "avatarSnapshot": None}


@pytest.fixture
def database() -> Iterator[Database[Document]]:
    with fake.client() as client:
        yield client["app"]


def config(key: str = "_id") -> Config:
    users = {"key": key, "display_name": "name", "opt_out": {"path": "hidden", "missing": False}}
    return Config.model_validate({"users": users, "sources": [SOURCE]})


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (ObjectId(HEX), ObjectId(HEX)),
        (ObjectId(HEX), HEX),
        (ObjectId(HEX), HEX.upper()),
        (HEX, ObjectId(HEX)),
        (HEX.upper(), ObjectId(HEX)),
        (HEX.upper(), HEX),
        (HEX, HEX.upper()),
        (Binary.from_uuid(UUID), str(UUID)),
        (Binary.from_uuid(UUID), str(UUID).upper()),
        (str(UUID).upper(), Binary.from_uuid(UUID)),
        (7, "7"),
        ("7", 7),
        ("ann", "ann"),
    ],
)
def test_a_wish_is_heeded_whichever_form_of_the_id_the_source_has(
    database: Database[Document], stored: Any, said: Any
) -> None:
    database["users"].insert_one({"_id": stored, "name": "Ann", "hidden": True})
    assert profiles_of(database, config(), [said]) == {said: HIDDEN}


@pytest.mark.parametrize(("stored", "said"), [("ann", "Ann"), ("07", 7), ("ann", HEX)])
def test_ids_that_only_look_alike_are_different_users(database: Database[Document], stored: Any, said: Any) -> None:
    database["users"].insert_one({"_id": stored, "name": "Ann", "hidden": True})
    assert profiles_of(database, config(), [said]) == {said: ABSENT}


def test_the_very_id_goes_before_its_other_forms(database: Database[Document]) -> None:
    forms = [ObjectId(HEX), HEX, HEX.upper()]
    database["users"].insert_many([{"_id": form, "name": str(number)} for number, form in enumerate(forms)])
    names = [profiles_of(database, config(), [form])[form]["displayNameSnapshot"] for form in forms]
    assert names == ["0", "1", "2"]


def test_users_may_be_found_under_any_path(database: Database[Document]) -> None:
    database["users"].insert_one({"account": {"id": HEX.upper()}, "name": "Ann", "hidden": "yes"})
    assert profiles_of(database, config("account.id"), [ObjectId(HEX)]) == {ObjectId(HEX): HIDDEN}


def test_of_several_users_each_gets_its_own(database: Database[Document]) -> None:
    database["users"].insert_many([{"_id": 1, "name": "Ann", "hidden": True}, {"_id": "2", "name": "Bob"}])
    found = profiles_of(database, config(), [1, 2, 3])
    assert found == {1: HIDDEN, 2: {**ABSENT, "displayNameSnapshot": "Bob"}, 3: ABSENT}
