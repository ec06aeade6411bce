"""What is imported when: the door opens fast, and an app that reads a board does not pay for a backfill."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("pandas", "numpy", "numexpr", "pydantic", "yaml", "psutil", "tenacity", "dateutil", "mongomock_ng")


def imported(code: str, *watched: str) -> set[str]:
    """Which of the watched modules are there after some code ran in a process of its own."""
    script = (
        f"import sys, json\n{code}\nprint('\\n' + json.dumps([name for name in {watched!r} if name in sys.modules]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_and_version_import_neither_a_driver_nor_anything_heavy(words):
    code = f"from lbmigrate.cli.main import status\nstatus({words!r})"
    assert imported(code, "pymongo", "bson", "rich.table", *HEAVY) == set()


NEVER_AT_THE_START = ("pandas", "numexpr", "mongomock_ng", "distributed", "isal", "redis", "prometheus_client")
SHOWN_ALONE = ("explain.explanation", "report.content", "counter.compare", "detect.propose", "backup.restore")
COMPARING = ("migration.verifying", "verify.sampled", "verify.whole", "verify.look")
OTHER_PROCESSES = ("workers.processes", "workers.dask_cluster")
ENGINE = ("migration.steps", "migration.runner", "migration.status", "ledger.emit", "backfill.backfill")
RUN = "lbmigrate.commands._run, lbmigrate.migration.runner"
STARTS = {  # a verb, the rooms that its function needs besides, and what of the package it does without
    "top": ("lbmigrate.board.board", (*ENGINE, *COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)),
    "status": ("lbmigrate.commands._look", (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)),
    "backfill": (RUN, (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)),
    "tail": ("lbmigrate.commands._tail", (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE)),
    "run": (
        RUN,
        (*COMPARING, *OTHER_PROCESSES, "explain.explanation"),
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize("verb", STARTS)
def test_a_verb_that_is_scheduled_imports_only_what_its_start_needs(verb):
    needed, without = STARTS[verb]
    code = f"from lbmigrate.cli.main import status\nstatus([{verb!r}, '--help'])\nimport {needed}"
    assert imported(code, *NEVER_AT_THE_START, *(f"lbmigrate.{name}" for name in without)) == set()


def test_an_app_that_records_imports_neither_what_backfills_nor_what_shows():
    code = "from lbmigrate import ScoreRecorder, load_config\nScoreRecorder, load_config"
    without = (*COMPARING, *OTHER_PROCESSES, *SHOWN_ALONE, "backfill.backfill", "migration.steps")
    assert imported(code, "typer", "rich", *NEVER_AT_THE_START, *(f"lbmigrate.{name}" for name in without)) == set()


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
