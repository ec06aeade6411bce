"""What is imported when: the door opens fast, and an app that reads a board does not pay for a backfill."""

from __future__ import annotations

import pytest

from tests.imported import imported

HEAVY = ("pandas", "numpy", "numexpr", "pydantic", "yaml", "psutil", "tenacity", "dateutil", "mongomock_ng")


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_and_version_import_neither_a_driver_nor_anything_heavy(words):
    code = f"from lbmigrate.cli.main import status\nstatus({words!r})"
    assert imported(code, "pymongo", "bson", "rich.table", *HEAVY) == set()


NEVER_AT_THE_START = ("pandas", "numexpr", "mongomock_ng", "distributed", "isal", "redis", "prometheus_client")
# What adds up columns, what tries again, what knows of processes: a verb needs these when there is something to do.
LATER = ("numpy", "tenacity", "tornado", "psutil")
SHOWN_ALONE = ("explain.explanation", "report.content", "counter.compare", "detect.propose", "backup.restore")
COMPARING = ("migration.verifying", "verify.sampled", "verify.whole", "verify.look", "verify.complaints")
OTHER_PROCESSES = ("workers.processes", "workers.dask_cluster")
ADDING_UP = ("ledger.emit", "ledger.rollup", "ledger.fold_by_index", "rules.scoring", "rules.ranking")
ENGINE = (*ADDING_UP, "migration.runner", "migration.steps.s4_backfill", "backfill.backfill", "reconcile.reconcile")
ASKING = (*ENGINE, *COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)
WORKING = (*ADDING_UP, *COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)
RUN = "lbmigrate.commands._run"
STEP_4 = "lbmigrate.migration.steps.s4_backfill"
EVERY_STEP = "lbmigrate.migration.steps; [each.itself for each in lbmigrate.migration.steps.STEPS]"
STARTS = {  # a verb, the rooms that its function needs besides, and what of the package it does without
    "top": ("lbmigrate.board.board", ASKING),
    "status": ("lbmigrate.commands._look", (*ASKING, "migration.plan", "checks.server")),
    "history": ("lbmigrate.commands._look", (*ASKING, "migration.plan", "checks.server")),
    "flag": ("lbmigrate.feature_flag", (*ASKING, "migration.status", "checks.server")),
    "plan": (f"lbmigrate.commands._plan, {EVERY_STEP}", (*WORKING, "migration.runner", "reconcile.drift")),
    "backfill": (f"{RUN}, {STEP_4}", (*WORKING, "reconcile.reconcile")),
    "worker": ("lbmigrate.commands._work", (*WORKING, "migration.steps.s4_backfill")),
    "tail": ("lbmigrate.commands._tail", (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)),
    "run": (RUN, (*COMPARING, *OTHER_PROCESSES, "explain.explanation")),
}
WITH_NUMBERS = {"tail"}  # follows what is done, and so adds up from its start


@pytest.mark.sampled
@pytest.mark.parametrize("verb", STARTS)
def test_a_verb_that_is_scheduled_imports_only_what_its_start_needs(verb):
    needed, without = STARTS[verb]
    libraries = (*NEVER_AT_THE_START, *(() if verb in WITH_NUMBERS else LATER))
    code = f"from lbmigrate.cli.main import status\nstatus([{verb!r}, '--help'])\nimport {needed}"
    assert imported(code, *libraries, *(f"lbmigrate.{name}" for name in without)) == set()


def test_reading_a_configuration_with_a_formula_computes_nothing(tmp_path):
    code = (
        "from lbmigrate.config.load import starter, starter_config\n"
        "assert 'floor(' in starter() and len(starter_config({'database.uri': 'mongodb://there'}).sources) > 1"
    )
    assert imported(code, "numpy", "numexpr", "pandas") == set()


def test_an_app_that_records_imports_neither_what_backfills_nor_what_shows():
    code = "from lbmigrate import ScoreRecorder, load_config\nScoreRecorder, load_config"
    without = (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE, "backfill.backfill", "migration.steps")
    assert imported(code, "typer", "rich", *NEVER_AT_THE_START, *(f"lbmigrate.{name}" for name in without)) == set()


def test_a_process_that_ends_does_not_look_through_all_that_it_holds_once_more():
    code = (
        "import gc, sys\nfrom lbmigrate.cli.main import main\nsys.argv = ['lbmigrate', '--version']\n"
        "before = gc.get_threshold()\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "assert gc.get_freeze_count() > 10_000\nassert gc.get_threshold() == before\n"
    )
    assert imported(code, "lbmigrate") == {"lbmigrate"}


def test_a_board_imports_the_driver_and_nothing_heavy():
    code = (
        "from pymongo import MongoClient\nfrom lbmigrate import Board\nBoard(MongoClient(connect=False)['app'], None)"
    )
    assert imported(code, *HEAVY) == set()


def test_importing_the_package_changes_nothing_in_the_process_that_imports_it():
    code = (
        "import numexpr, gc, logging\nnumexpr.set_num_threads(2)\n"
        "before = (gc.get_threshold(), list(logging.root.handlers))\n"
        "import lbmigrate, lbmigrate.commands\n"
        "from lbmigrate import Board, LbmigrateError, ScoreRecorder, flag, load_config\n"
        "from lbmigrate.values import formula\n"
        "assert numexpr.set_num_threads(2) == 2\n"
        "assert before == (gc.get_threshold(), list(logging.root.handlers))\n"
    )
    assert imported(code, "lbmigrate") == {"lbmigrate"}


def test_every_public_name_is_there_and_no_other():
    import lbmigrate
    from lbmigrate import commands, live

    for package in (lbmigrate, commands, live):
        assert all(getattr(package, name) is not None for name in package.__all__)
        with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
            package.no_such_name  # noqa: B018  asked for on purpose


def test_a_verb_stays_the_function_that_it_is_whatever_was_imported_before():
    from lbmigrate import commands

    for name in commands.__all__:
        assert callable(getattr(commands, name)), name
        assert callable(getattr(commands, name)), name
