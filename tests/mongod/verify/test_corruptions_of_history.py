"""Every corruption of a migrated history of ninety thousand documents is found, named and healed.

LBMIGRATE_CORRUPTION names one of them, or what several have in their names; without it all are tried, for an hour.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from itertools import islice

import pytest
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import Mismatch
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo.client import open_client
from lbmigrate.run.context import VerifyOptions
from lbmigrate.testing import CORRUPTIONS
from lbmigrate.values import extjson
from tests.mongod.test_history import HISTORY
from tests.runs import by_hand

NAMES = [name for name in sorted(CORRUPTIONS) if os.environ.get("LBMIGRATE_CORRUPTION", "") in name]
KEPT = ("score_events", "leaderboard_entries", "lbmigrate_state", "feature_flags")
EVERYTHING = VerifyOptions(full=True)

pytestmark = [
    pytest.mark.slow,
    by_hand,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not HISTORY.is_dir(), reason=f"the data of this test is not here: {HISTORY}"),
]


@pytest.fixture(scope="module")
def history(server_uri):
    """The configuration of a migrated history, its database, of which a copy is kept beside it, and the indexes."""
    config = load_config(HISTORY / "leaderboard.yaml", environ={})
    config = config.model_copy(update={"database": replace_uri(config, server_uri)})
    with open_client(server_uri) as client:
        database = client[config.database.name]
        extjson.load(HISTORY, database, config.collections)
        commands.demo(config)
        for name in KEPT:
            copied(database[name], f"{database.name}_kept")
        yield config, database, {name: database[name].index_information() for name in KEPT[:2]}
        client.drop_database(database.name)
        client.drop_database(f"{database.name}_kept")


def replace_uri(config, uri):
    return config.database.model_copy(update={"uri": uri, "name": "corrupted_history"})


def copied(collection, database):
    """Put documents into another database; the collection there stays the one that it is."""
    copy = collection.database.client[database][collection.name]
    copy.delete_many({})
    rows = collection.with_options(DEFAULT_RAW_BSON_OPTIONS).find()
    while some := list(islice(rows, 10_000)):
        copy.insert_many(some, ordered=False, bypass_document_validation=True)


@pytest.fixture
def migrated(history):
    """The history as it was migrated, whatever the test before has left."""
    config, database, indexes = history
    for name, usual in indexes.items():
        for each in database[name].index_information().keys() - usual.keys():
            database[name].drop_index(each)
        present = database[name].index_information()
        for each, how in usual.items():
            if each not in present:
                options = {option: value for option, value in how.items() if option not in ("key", "v", "ns")}
                database[name].create_index(how["key"], name=each, **options)
    for name in KEPT:
        copied(database.client[f"{database.name}_kept"][name], database.name)
    return config, database


def found(config):
    """The kinds of what a full verification finds, by a listener of its own."""
    seen = []

    def listen(report):
        seen.extend(report.piece.found if report.piece else ())

    try:
        commands.verify(config, options=EVERYTHING, terms=replace(Terms(), listen=listen))
    except Mismatch:
        assert seen
    return {each.kind.value for each in seen}


def test_nothing_is_found_in_a_clean_history(migrated):
    assert found(migrated[0]) == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_of_the_history_is_found_named_and_healed(migrated, name):
    config, database = migrated
    corruption = CORRUPTIONS[name]
    corruption.inject(database, random.Random(name))
    assert found(config) & corruption.kinds
    if corruption.heals:
        commands.repair(config, options=EVERYTHING)
        assert found(config) == set()
