"""A live run is steered from another terminal: how fast, by how many, and only that run."""

from __future__ import annotations

import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import UsageError
from lbmigrate.migration.runner import Terms
from lbmigrate.run.connection import connection
from lbmigrate.state import State
from lbmigrate.state.judge import judge
from tests.apps import TASKS, UNHURRIED, task

pytestmark = pytest.mark.sampled


@pytest.fixture
def here(client, terminal, app):
    app["tasks"].insert_many([task(number) for number in range(100, 194)])
    return connection(client, load_config(terminal.configure(TASKS, throttle=UNHURRIED)))


def ran(here, **tuned):
    """A run that is tuned after its third chunk; the pace that its record has after each later one."""
    seen, chunks = [], []

    def listen(report):
        if report.piece and report.piece.subject == "tasks" and report.piece.counts:
            chunks.append(report)
            progress = commands.status(here).running["progress"]
            seen.append((progress["workers"], progress["perSecond"]))
            if len(chunks) == 3:
                commands.tune(here, **tuned)

    commands.run(here, no_backup=True, terms=Terms(listen=listen))
    return seen


@pytest.mark.parametrize(
    ("asked", "pace"),
    [
        ({"workers": 1}, (1, None)),
        ({"workers": 7}, (7, None)),
        ({"per_second": 50_000.0}, (2, 50_000.0)),
        ({"per_second": 40_000.0, "workers": 1}, (1, 40_000.0)),
    ],
)
def test_what_was_asked_is_in_force_within_a_chunk_and_the_record_says_so(here, asked, pace):
    seen = ran(here, **asked)
    assert seen[:3] == [(2, None)] * 3
    assert seen[-1] == pace
    assert seen[3 + 2 + 1 :] == [pace] * len(seen[3 + 2 + 1 :]), "what was begun or handed out already ends first"


def test_every_document_counts_once_however_it_was_tuned(here, app):
    ran(here, per_second=30_000.0, workers=5)
    assert app["score_events"].count_documents({}) == 100
    assert [flaw for row in State(app).rows.find({}) for flaw in judge(row)[1]] == []


def test_later_runs_go_by_the_configuration(here, app):
    ran(here, workers=1, per_second=50_000.0)
    app["tasks"].insert_many([task(number) for number in range(200, 230)])
    seen = []
    commands.backfill(
        here, terms=Terms(listen=lambda report: seen.append(commands.status(here).running.get("progress", {})))
    )
    assert {(each["workers"], each["perSecond"]) for each in seen if each.get("documents")} == {(2, None)}


def test_where_no_run_goes_on_there_is_nothing_to_tune(here, terminal, migrated):
    found = terminal("tune", "--workers", "1")
    assert (found.code, "throttle.documents_per_second" in found.hint) == (2, True)
    assert State(migrated).get("control") == {}


def test_nothing_asked_or_nothing_that_can_be_is_a_mistake(here, terminal):
    assert terminal("tune").code == 2
    assert terminal("tune", "--workers", "0").code == 2
    assert terminal("tune", "--documents-per-second", "-1").code == 2
    with pytest.raises(UsageError):
        commands.tune(here, per_second=float("nan"))
