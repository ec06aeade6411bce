"""Who works for a run beside its threads: where that cannot be, how often one may be lost, and what errors become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from lbmigrate.errors import ConfigError, LbmigrateError, LeaseLost, Refused, UsageError
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.client import is_worth_another_try
from lbmigrate.mongo.faults import explain
from lbmigrate.run.crew import MOST_LOST, WorkerLost, carried_out
from lbmigrate.run.jobs import LEFT
from lbmigrate.workers.at_work import LARGEST, answered, packed, unpacked
from lbmigrate.workers.crew import refuse_unusable
from lbmigrate.workers.executor import cannot_start
from lbmigrate.workers.processes import _named
from tests.apps import App


@pytest.mark.parametrize("words", ["run --to 4", "run --dry-run", "backfill"])
def test_what_is_in_memory_stays_in_its_process_and_the_hint_is_all_that_is_needed(words, terminal, app):
    terminal("run", "--to", "1")
    refused = terminal(*words.split(), "--executor", "processes")
    assert (refused.code, "no other one can reach it" in " ".join(refused.err.split())) == (2, True)
    assert refused.hint == "leave out --executor: threads do that work"
    assert app["score_events"].count_documents({}) == 0
    assert terminal(*words.split()).code == 0


def test_an_estimate_of_what_is_in_memory_is_refused(terminal, app):
    refused = terminal("plan", "--estimate")
    assert (refused.code, "has no server" in " ".join(refused.err.split())) == (2, True)
    assert refused.hint.startswith("leave out --estimate, or name a server: ")
    assert terminal("plan").code == 3


def test_nobody_is_called_together_for_a_sample_and_it_is_said_what_they_would_be_for(migrated, terminal):
    nowhere = ("--executor", "dask", "--scheduler", "tcp://127.0.0.1:1")
    done = terminal("verify", *nowhere)
    assert (done.code, "--executor is for --full, and for --repair" in " ".join(done.err.split())) == (0, True)
    refused = terminal("verify", "--repair", *nowhere)
    assert "--executor is for what has to be repaired" in " ".join(refused.err.split())
    assert (refused.code, refused.hint) == (2, "leave out --executor: threads do that work")
    assert "a sample" not in terminal("verify", "--full", *nowhere).err


class Crew:
    """Workers of whom so many are lost, one after another."""

    def __init__(self, losses: int) -> None:
        self.losses, self.handed = losses, []

    @contextmanager
    def line(self) -> Iterator[Crew]:
        yield self

    def ask(self, task):
        self.handed.append(task)
        if len(self.handed) <= self.losses:
            raise WorkerLost("gone")
        return f"done {task}"


def worked(crew: Crew) -> str:
    return carried_out(crew, 1, lambda item, line: line.ask(item), lambda item: "here", lambda item: item + 1)


@pytest.mark.parametrize("losses", range(MOST_LOST))
def test_what_a_lost_worker_had_in_hand_is_handed_on_as_tried(losses: int) -> None:
    assert worked(Crew(losses)) == f"done {losses + 1}"


def test_where_one_after_another_is_lost_it_is_not_the_workers() -> None:
    crew = Crew(MOST_LOST)
    with pytest.raises(WorkerLost):
        worked(crew)
    assert crew.handed == list(range(1, MOST_LOST + 1))


def test_without_a_crew_the_work_is_done_here() -> None:
    assert carried_out(None, 1, lambda *_: "away", lambda item: f"here {item}", lambda item: item) == "here 1"


ERRORS = [
    Refused("no", "lbmigrate plan", ["a", "b"]), LeaseLost("gone", hint="lbmigrate status"), UsageError("so not"),
    ConfigError("odd", hint="x"), LbmigrateError("failed"), WorkerLost("lost", "fewer"), AutoReconnect("cut"),
    ServerSelectionTimeoutError("nobody"), OperationFailure("stepped down", 189), OperationFailure("not allowed", 13),
    BulkWriteError({"writeErrors": [{"code": 14031, "errmsg": "no room"}]}),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__} {error}"[:40])
def test_an_error_means_the_same_in_another_process(error: Exception) -> None:
    error.add_note("tried again, in vain") if "gone" in str(error) else None
    found = errors_told.as_error(unpacked(packed(errors_told.as_document(error))))
    here, there = (explain(each, "mongodb://memory") for each in (error, found))
    assert (there.exit_code, there.hint, there.message, there.details) == (
        here.exit_code,
        here.hint,
        here.message,
        here.details,
    )
    assert is_worth_another_try(found) == is_worth_another_try(error)


def test_a_fault_of_ours_in_a_worker_is_an_error_with_its_name() -> None:
    found = errors_told.as_error(errors_told.as_document(ZeroDivisionError("by zero")))
    assert str(found) == "a worker failed: ZeroDivisionError('by zero')"


@pytest.mark.parametrize(("executor", "said"), [("thread", "no executor is called"), ("processes", "processes: ")])
def test_a_script_may_name_an_executor_by_its_word_and_one_that_is_none_is_refused(app, executor, said) -> None:
    with pytest.raises(UsageError, match=said):
        refuse_unusable(App(app).context(), executor)


def test_what_works_on_a_ledger_in_memory_refuses_others_too(terminal, migrated) -> None:
    for words in ("verify --full", "verify --repair", "reconcile", "recount"):
        refused = terminal(*words.split(), "--executor", "processes")
        assert (refused.code, "no other one can reach it" in " ".join(refused.err.split())) == (2, True), words
        assert refused.hint == "leave out --executor: threads do that work"
        assert terminal(*words.split()).code == 0, words


def test_a_reconciliation_that_only_lists_has_no_work_for_others(terminal, migrated) -> None:
    refused = terminal("reconcile", "--dry-run", "--executor", "processes")
    assert (refused.code, refused.hint) == (2, "leave out --executor, or --dry-run")
    assert terminal("reconcile", "--dry-run").code == 0


def test_a_task_names_itself_where_its_worker_is_lost() -> None:
    assert _named({"kind": "settle", "row": "chunk:tasks:1:0:0"}) == "chunk:tasks:1:0:0"
    assert _named({"kind": "compare"}) == "a task of compare"


@pytest.mark.parametrize("found", [{"n": 2**70}, {"text": "\ud800"}, {"key": object()}])
def test_what_cannot_be_told_is_left_to_the_run(found) -> None:
    assert unpacked(answered(found)) == {LEFT: True}


def test_what_is_too_much_for_a_row_is_left_to_the_run() -> None:
    assert unpacked(answered({"text": "x" * LARGEST})) == {LEFT: True}
    assert unpacked(answered({"text": "x"})) == {"text": "x"}


@pytest.mark.parametrize(
    ("error", "code"), [(Refused("another one", "alike"), 6), (ServerSelectionTimeoutError("x"), 1)]
)
def test_a_worker_who_says_why_it_cannot_work_ends_the_run_as_that_would(error, code) -> None:
    found = cannot_start(errors_told.as_document(error), "mongodb://u:S3cr3t@host")
    assert (found.exit_code, bool(found.hint), "S3cr3t" in str(found)) == (code, True, False)
