"""Each verb with exactly the rights that its row of the table lists, on a server that asks for passwords."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo import MongoClient

from lbmigrate import Board
from lbmigrate.board.histogram import Histogram
from lbmigrate.checks import privileges
from lbmigrate.config.load import read_config
from lbmigrate.ledger import make_histograms
from lbmigrate.migration.steps import STEPS
from lbmigrate.records import Document
from tests.apps import App, oid, picture, session, task, user
from tests.guarded import as_user, guarded_set
from tests.mongod.board.test_board import Commands

RUNBOOK = Path(__file__).parents[3] / "runbooks" / "rights.md"
HOME = "kept_apart"  # the database of the state, so that no right on one database hides behind one on the other


@pytest.fixture(scope="module")
def guarded(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A replica set of one that asks for passwords, as its administrator."""
    with guarded_set(tmp_path_factory.mktemp("guarded")) as found:
        yield found


@pytest.fixture
def app(guarded, terminal, monkeypatch):
    """An app on the guarded server whose state is kept in a database of its own."""
    admin, _ = guarded
    name = f"test_{uuid.uuid4().hex[:12]}"
    database = admin[name]
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    terminal.configure(state={"database": name + HOME})
    monkeypatch.setenv("LBMIGRATE_DATABASE", name)
    yield database
    admin.drop_database(name)
    admin.drop_database(name + HOME)


@pytest.fixture
def become(guarded, app, terminal, monkeypatch):
    """Become a database user who may do certain verbs and nothing else; `short` is a right to leave out."""
    admin, uri = guarded

    def as_one_who_may(*verbs: str, short: tuple[str, str] | None = None) -> None:
        config = read_config(terminal.config).config
        command = privileges.role(uuid.uuid4().hex, verbs, config, app.name, app.name + HOME)
        for grant in command["privileges"]:
            if short and grant["resource"]["collection"] == short[0]:
                grant["actions"] = [action for action in grant["actions"] if action != short[1]]
        admin.admin.command(command)
        name = command["createRole"]
        admin.admin.command("createUser", name, pwd="s3cret", roles=[{"role": name, "db": "admin"}])
        monkeypatch.setenv("LBMIGRATE_URI", as_user(uri, name, "s3cret"))

    return as_one_who_may


def done(terminal, *words, code=0):
    found = terminal(*words)
    assert found.code == code, found.err[-1500:]
    return found


ADA = str(oid(1))
LINES = {
    "plan": [["plan"], ["doctor"], ["status"], ["history"], ["rejects"], ["top"], ["rank", ADA], ["run", "--dry-run"]],
    "pause": [["pause"], ["resume"], ["unlock", "--yes"]],
    "backup": [["backup", "make", "kept"]],
    "flag": [["flag", "read", "off"], ["flag", "write", "off"], ["flag", "write", "on"]],
    "verify": [["verify", "--full"]],
    "backfill": [["backfill"], ["backfill", "--full"], ["backfill", "--user", ADA], ["recount"]],
    "tail": [["tail", "--max-runtime", "1s"]],
    "reconcile": [["reconcile", "--dry-run"], ["reconcile"]],
    "forget": [["forget", ADA, "--yes"]],
    "run": [["run"]],
    "rollback": [["rollback", "--dry-run"], ["rollback", "--yes"], ["rollback", "--yes"]],
}


@pytest.fixture
def migrated(app, become, terminal):
    become("run")
    done(terminal, "run")
    return app


@pytest.mark.slow
@pytest.mark.parametrize("verb", LINES)
def test_each_verb_works_with_the_rights_of_its_row_and_no_others(migrated, become, terminal, verb):
    now = dt.datetime.now(dt.UTC)
    migrated["tasks"].insert_one(task(90, owner=2, updatedAt=now))
    migrated["tasks"].update_one({"_id": oid(1001)}, {"$set": {"status": "todo", "updatedAt": now}})
    become(verb)
    for words in LINES[verb]:
        found = terminal(*words)
        assert found.code in ((0, 3, 6) if words[0] in ("plan", "doctor") else (0,)), found.err[-1500:]


@pytest.mark.slow
def test_the_table_has_a_row_for_every_verb_that_is_tried_here():
    assert {*LINES, "backup restore"} == set(privileges.VERBS)


@pytest.mark.slow
def test_a_restore_after_a_loss_works_with_the_rights_of_its_row(migrated, become, terminal):
    become("backup", "pause")
    done(terminal, "backup", "make", "kept")
    before = picture(migrated)
    for name in ("score_events", "leaderboard_entries", "lbmigrate_rejects", "feature_flags"):
        migrated.drop_collection(name)
    migrated.client[migrated.name + HOME].drop_collection("lbmigrate_state")
    become("backup restore")
    done(terminal, "backup", "restore", "kept", "--yes")
    assert picture(migrated) == before
    become("plan", "verify")
    done(terminal, "verify", "--full")


SHORT = {
    "backfill": [("score_events", "update"), ("lbmigrate_state", "insert")],
    "rollback": [("leaderboard_entries", "remove"), ("feature_flags", "dropCollection")],
    "forget": [("score_events", "update"), ("leaderboard_entries", "remove"), ("lbmigrate_state", "insert")],
}
CHANGED = [(verb, *right) for verb, rights in SHORT.items() for right in rights]


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "collection", "action"), CHANGED)
def test_a_right_that_a_verb_misses_is_named_before_anything_is_written(
    migrated, become, terminal, verb, collection, action
):
    before = picture(migrated)
    become(verb, short=(collection, action))
    found = done(terminal, *LINES[verb][-1], code=6)
    assert f"may not {action} on {migrated.name}" in found.err
    assert f".{collection}" in found.err
    assert "runbooks/rights.md" in found.err
    assert picture(migrated) == before
    become(verb)  # as that page says
    assert f"may not {action}" not in terminal(*LINES[verb][-1]).err


@pytest.mark.slow
def test_a_restore_that_misses_a_right_leaves_nothing_behind(migrated, become, terminal):
    become("backup")
    done(terminal, "backup", "make", "kept")
    migrated.drop_collection("score_events")
    become("backup restore", short=("lbmigrate_restore.lbmigrate_state", "dropCollection"))
    found = done(terminal, "backup", "restore", "kept", "--yes", code=6)
    assert "dropCollection" in found.err
    assert "score_events" not in migrated.list_collection_names()


def test_doctor_names_the_verbs_that_a_user_may_not_do(app, become, terminal):
    become("run")
    found = done(terminal, "doctor", "--json")
    assert not_allowed(found) == {"backup", "backup restore", "forget", "rollback", "tail"}


def test_doctor_names_each_of_the_verbs_that_need_the_same(app, become, terminal):
    become("plan")
    found = done(terminal, "doctor", "--json", code=6)
    assert {"pause", "resume", "tune", "unlock", "worker", "recount"} <= not_allowed(found)


def not_allowed(found):
    (told,) = [f["fact"] for f in found.result["findings"] if f["subject"] == "rights" and f["level"] == "warning"]
    return set(told.partition(" may not do: ")[2].split(", "))


def test_a_board_of_an_app_that_may_not_read_the_state_has_the_same_ranks(guarded, monkeypatch):
    monkeypatch.setattr(make_histograms, "LEAST", 1)
    monkeypatch.setattr(Histogram, "helps", lambda *_: True)
    admin, uri = guarded
    name, heard = uuid.uuid4().hex, Commands()
    app = App(admin[f"test_{name[:12]}"])
    app.database["users"].insert_many([user(number) for number in (1, 2, 3)])
    app.database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(10)])
    app.apply(STEPS[:4])
    places = [{"db": app.database.name, "collection": each} for each in ("leaderboard_entries", "users")]
    admin.admin.command(
        {"createRole": name, "privileges": [{"resource": each, "actions": ["find"]} for each in places], "roles": []}
    )
    admin.admin.command("createUser", name, pwd="s3cret", roles=[{"role": name, "db": "admin"}])
    with MongoClient(as_user(uri, name, "s3cret"), event_listeners=[heard]) as client:
        board, whole = Board(client[app.database.name], app.config), Board(app.database, app.config)
        for number in (1, 2, 3):
            assert board.rank(oid(number)) == whole.rank(oid(number))
            assert board.around(oid(number), n=1) == whole.around(oid(number), n=1)
        heard.names.clear()
        board.rank(oid(1))
        assert heard.names.count("aggregate") == 2, "what was refused once is not asked for again"
    admin.drop_database(app.database.name)


# --- what the runbook says ------------------------------------------------------------------------------------------


def documented() -> list[Document]:
    """The createRole commands of the runbook, which are JavaScript as well as YAML."""
    text = RUNBOOK.read_text("utf-8")
    found = re.findall(r"db\.adminCommand\((\{createRole.*?\})\)$", text, re.DOTALL | re.MULTILINE)
    return [yaml.safe_load(each) for each in found]


ROLES = {
    "lbmigrateLook": ("plan", "backup"),
    "lbmigrateCron": ("backfill", "verify", "reconcile"),
    "lbmigrateOperator": tuple(privileges.VERBS),
}


def test_the_roles_of_the_runbook_are_those_of_the_table(app, terminal):
    shutil.copy(RUNBOOK.parents[1] / "config" / "leaderboard.yaml", terminal.config)
    config = read_config(terminal.config, {"database.uri": "local:x", "database.name": "app"}).config
    expected = [privileges.role(name, verbs, config, "app", "app") for name, verbs in ROLES.items()]
    assert [ordered(each) for each in documented()] == [ordered(each) for each in expected]


def test_the_guide_to_ones_own_server_has_the_role_of_the_runbook():
    guide = (RUNBOOK.parents[1] / "docs" / "howto" / "your-own-server.md").read_text("utf-8")
    (found,) = re.findall(r"db\.adminCommand\((\{createRole.*?\})\)$", guide, re.DOTALL | re.MULTILINE)
    assert yaml.safe_load(found) == documented()[-1]


def ordered(command: Document) -> Document:
    rows = {(p["resource"]["db"], p["resource"]["collection"]): sorted(p["actions"]) for p in command["privileges"]}
    return {**command, "privileges": rows}


def test_the_server_takes_the_commands_of_the_runbook(guarded):
    admin, _ = guarded
    for command in documented():
        admin.admin.command(command)
        admin.admin.command("dropRole", command["createRole"])
