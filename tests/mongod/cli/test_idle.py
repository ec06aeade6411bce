"""What is scheduled most finds nothing to do: what it imports then, and what it looks for before it starts."""

from __future__ import annotations

import pytest

from lbmigrate.checks.server import check_everything
from tests.apps import SESSIONS, TASKS, App, config
from tests.imported import imported

ADDING_UP = ("rollup", "first_entries", "fold_by_index", "plain_events")
NEVER = ("pandas", "tenacity", "tornado", "distributed", *(f"lbmigrate.ledger.{name}" for name in ADDING_UP))


@pytest.fixture
def app(migrated):
    return migrated


def typed(terminal, *words: str) -> str:
    """The code that types a verb and sees it succeed, in a process of its own."""
    return (
        f"from lbmigrate.cli.main import status\nassert status({[*words, '--config', str(terminal.config)]!r}) == 0\n"
    )


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("words", [["status"], ["history"], ["flag", "show"]], ids="-".join)
def test_who_only_looks_imports_no_numbers_and_nothing_that_works(terminal, words):
    works = ("numpy", "numexpr", "psutil", "lbmigrate.backfill.backfill", "lbmigrate.migration.runner")
    assert imported(typed(terminal, *words), *NEVER, *works) == set()


@pytest.mark.usefixtures("app")
def test_a_backfill_with_nothing_new_imports_nothing_that_adds_up_a_ledger(terminal):
    assert imported(typed(terminal, "backfill", "--quiet"), *NEVER) == set()


def test_a_backfill_with_nothing_to_read_imports_no_numbers(app, terminal):
    app["tasks"].delete_many({})
    app["sessions"].delete_many({})
    assert imported(typed(terminal, "backfill", "--quiet"), "numpy", "numexpr", *NEVER) == set()


def test_a_verb_that_starts_is_told_what_forbids_it_and_not_what_is_odd(app):
    some = app["score_events"].find_one()
    app["score_events"].insert_one({**some, "_id": f"of_nobody:{some['sourceId']}", "actionType": "of_nobody"})
    context = App(app, config(TASKS, SESSIONS)).context()
    assert "ledger" in {each.subject for each in check_everything(context, bounded=False) if each.level == "warning"}
    assert "ledger" not in {each.subject for each in check_everything(context, "backfill")}
    app["users"].drop()
    refused = [
        [each for each in check_everything(context, "backfill", bounded=bounded) if each.level == "refusal"]
        for bounded in (True, False)
    ]
    assert refused[0] == refused[1]
    assert [each.subject for each in refused[0]] == ["users"]
