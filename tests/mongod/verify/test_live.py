"""An app that goes on writing does not make a verification fail, and hides nothing from it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from bson import Int64

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import Mismatch
from lbmigrate.run.context import VerifyOptions
from tests.mongod.live import test_race
from tests.mongod.live.test_race import SOURCES, Racing, fill
from tests.runs import ended, write_config

TIMES, WRITERS = 20, 4


@pytest.fixture
def live(server_uri, database, tmp_path, monkeypatch):
    """A migrated database, the configuration, and four processes that record, finish, repeat and undo meanwhile."""
    monkeypatch.setattr(test_race, "SECONDS", 3600.0)
    settings = write_config(tmp_path, database.name, SOURCES)
    fill(database)
    code, _, err = ended(server_uri, settings, "run", "--to", "4")
    assert code == 0, err
    with ExitStack() as later:
        racers = [Racing(server_uri, settings, database.name, number) for number in range(WRITERS)]
        for each in racers:
            later.callback(each.kill)
        for each in racers:
            each.go()
        yield load_config(settings, environ={"MONGODB_URI": server_uri})
        assert all(each.process.is_alive() for each in racers)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["sample", "full"])
def test_a_verification_passes_every_time_while_four_processes_write(database, live, full):
    before = database["score_events"].estimated_document_count()
    for seed in range(TIMES):
        commands.verify(live, options=VerifyOptions(full=full, seed=seed))
    assert database["score_events"].estimated_document_count() > before


@pytest.mark.slow
def test_what_is_wrong_is_found_while_four_processes_write(database, live):
    event = database["score_events"].find_one({"meta.origin": "backfill"})
    database["score_events"].update_one({"_id": event["_id"]}, {"$inc": {"points": Int64(1_000)}})
    with pytest.raises(Mismatch):
        commands.verify(live, options=VerifyOptions(full=True))
    found = database["lbmigrate_state"].find_one({"_id": "verdict"})["found"]
    assert event["_id"] in {each["id"] for each in found if each["kind"] == "wrong points"}
