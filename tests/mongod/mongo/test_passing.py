"""Every verb goes on after errors that pass, whichever command they befall; what stays is raised within bounds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from lbmigrate import commands, feature_flag
from lbmigrate.config.model import Config
from lbmigrate.migration.driver import ATTEMPTS, Driver
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import open_client, retrying
from lbmigrate.mongo.process import Server
from lbmigrate.records import Piece, Work
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.run.stop import Stop
from tests.apps import TASKS, App, config, task, user
from tests.runs import FAILPOINTS, failing, replica_set

pytestmark = pytest.mark.usefixtures("mongod")
SIZE = 12
SENT = (
    "find", "insert", "update", "delete", "getMore", "aggregate", "count", "create", "createIndexes", "drop",
    "dropIndexes", "findAndModify", "listCollections", "listIndexes", "connectionStatus",
)  # fmt: skip
NAMED = {365, 134, 11601, 16500, 24, 133}  # those that were seen to end a run; KINDS has one of each further kind
KINDS = {*NAMED, 6, 43, 433, 150, 112, 262}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[Server]:
    with replica_set(tmp_path_factory.mktemp("passing"), 1, FAILPOINTS) as nodes:
        yield nodes[0]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with open_client(server.uri) as client:
        yield client


@pytest.fixture
def app(client: Any, server: Server) -> Iterator[App]:
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    database["users"].insert_many([user(number) for number in range(3)])
    database["tasks"].insert_many([task(number, owner=number % 3) for number in range(SIZE)])
    yield App(database, config(TASKS, database={"uri": server.uri, "name": database.name}))
    client.drop_database(database.name)


Verb = Callable[[Config, Path], Any]
VERBS: dict[str, Verb] = {
    "doctor": lambda config, _: commands.doctor(config),
    "plan": lambda config, _: commands.plan(config),
    "backup": lambda config, directory: commands.make_backup(config, directory / "backup"),
    "run": lambda config, _: commands.run(config, no_backup=True),
    "status": lambda config, _: commands.status(config),
    "backfill": lambda config, _: commands.backfill(config, scope=Scope(full=True)),
    "verify": lambda config, _: commands.verify(config, options=VerifyOptions(full=True)),
    "preview_reconcile": lambda config, _: commands.preview_reconcile(config),
    "reconcile": lambda config, _: commands.reconcile(config),
    "flag off": lambda config, _: commands.turn_flag(config, "read", False),
    "flag on": lambda config, _: commands.turn_flag(config, "read", True),
    "pause": lambda config, _: commands.pause(config),
    "resume": lambda config, _: commands.resume(config),
    "unlock": lambda config, _: commands.unlock(config),
    "history": lambda config, _: commands.history(config),
    "rejects": lambda config, _: commands.rejects(config),
    "forget": lambda config, _: commands.forget(config, f"{0:024x}"),
    "rollback": lambda config, _: commands.rollback(config),
}


@pytest.mark.slow
def test_a_run_and_a_rollback_outlive_errors_that_pass(app, client):
    for command in ("listCollections", "createIndexes", "insert"):
        with failing(client, command, 1, errorCode=365):
            commands.run(app.config, no_backup=True)
        assert len(app.events()) == SIZE
        commands.rollback(app.config)
        assert app.events() == []


@pytest.mark.slow
@pytest.mark.parametrize("command", SENT)
def test_every_verb_outlives_an_error_that_passes(app, client, command, tmp_path):
    left: dict[str, tuple[int, int]] = {}
    for name, verb in VERBS.items():
        with failing(client, command, 2, errorCode=365):
            verb(app.config, tmp_path)
        ledger, board = (app.database[each] for each in ("score_events", "leaderboard_entries"))
        left[name] = (ledger.count_documents({}), board.count_documents({"period": "global"}))
    assert left["run"] == left["unlock"] == (SIZE, 3)
    assert (left["forget"], left["rollback"]) == ((SIZE, 2), (0, 0))


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_such_code_is_tried_again(app, client, code):
    for command in ("find", "insert", "createIndexes"):
        with failing(client, command, 1, errorCode=code):
            commands.run(app.config, no_backup=True)
        assert len(app.events()) == SIZE
        commands.rollback(app.config)


def test_what_passes_is_told_as_such():
    for code in faults.TRANSIENT:
        error = OperationFailure("so", code)
        assert faults.is_transient(error)
        assert faults.AGAIN in faults.explain(error, "mongodb://HOST/").hint


# --- bounds ----------------------------------------------------------------------------------------------------------


class Calm(Stop):
    """A stop whose waits take no time."""

    def wait(self, seconds: float) -> None:
        pass


def begun(app: App, *outcomes: Exception | Piece) -> tuple[Driver, Callable[[], Iterator[Piece]], list[int]]:
    """A driver, a work that begins with the next of these each time, and how often it began."""
    left, times = iter(outcomes), [0]

    def pieces() -> Iterator[Piece]:
        times[0] += 1
        for outcome in left:
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    return Driver(app.context(stop=Calm())), pieces, times


@pytest.mark.slow
def test_a_work_that_does_not_get_on_ends_after_a_few_attempts(app):
    driver, pieces, times = begun(app, *[OperationFailure("so", 365)] * 20)
    with pytest.raises(OperationFailure):
        driver.carry_out(Work("w"), pieces)
    assert times == [ATTEMPTS]


def test_what_was_tried_in_vain_is_not_tried_again_by_others(app):
    def call() -> None:
        raise OperationFailure("so", 365)

    with pytest.raises(OperationFailure) as caught:
        retrying(call, attempts=2, sleep=lambda _: None)
    driver, pieces, times = begun(app, caught.value)
    with pytest.raises(OperationFailure):
        driver.carry_out(Work("w"), pieces)
    assert times == [1]


def test_a_fault_that_does_not_pass_is_raised_at_once(app):
    driver, pieces, times = begun(app, OperationFailure("so", 13))
    with pytest.raises(OperationFailure):
        driver.carry_out(Work("w"), pieces)
    assert times == [1]


# --- the flag's own write says whether it changed anything -----------------------------------------------------------


@pytest.mark.slow
def test_a_switch_whose_confirmation_was_lost_counts_as_turned(app, client):
    late = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
    with failing(client, "update", 1, **late):
        assert feature_flag.turn(app.database, app.config, "write", True, app.clock())
    assert not feature_flag.turn(app.database, app.config, "write", True, app.clock())
