"""A configuration that is proposed for a database scores what one that was written for it by hand scores."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import yaml

from lbmigrate.checks.data import check_data
from lbmigrate.config.model import Config
from lbmigrate.detect import looking
from lbmigrate.detect.propose import propose
from lbmigrate.detect.writing import as_yaml
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from tests.apps import UNHURRIED, App
from tests.shapes import SHAPES


def points(database, config):
    """What every user has, and how many events there are, under a configuration; the board is taken away again."""
    App(database, config).apply(STEPS[:4])
    entries = database["leaderboard_entries"].find({"period": "global"})
    found = Counter({row["userId"]: row["score"] for row in entries}), database["score_events"].count_documents({})
    for name in database.list_collection_names():
        if name.startswith(("lbmigrate_", "score_events", "leaderboard_entries")):
            database.drop_collection(name)
    return found


def written(database):
    looks = looking.look(database)
    found = propose(looks, looking.known(database, looks), {"uri": "local:x", "name": database.name})
    text = as_yaml(found).replace("${MONGODB_URI:-local:x}", "local:x")
    return found, text, Config.model_validate({**yaml.safe_load(text), "throttle": UNHURRIED})


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_proposed_scores_what_is_written_by_hand(name):
    data, by_hand = SHAPES[name](random.Random(7))
    with fake.client() as client:
        database = client["app"]
        for collection, documents in data.items():
            database[collection].insert_many(documents)
        _, text, config = written(database)
        refusals = [each for each in check_data(App(database, config).context()) if each.level == "refusal"]
        assert not refusals, text
        proposed, events = points(database, config)
        expected, wanted = points(database, Config.model_validate({**by_hand, "throttle": UNHURRIED}))
    agreed = sum((proposed & expected).values())
    assert agreed >= 0.9 * sum(expected.values()), text
    assert sum(proposed.values()) <= 1.1 * sum(expected.values()), text
    assert 0.9 * wanted <= events <= 1.1 * wanted, text
