"""Secrets in the server's URI, the environment and the configuration: no verb says, keeps or copies them."""

from __future__ import annotations

import gzip
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bson import json_util

from lbmigrate.cli.app import VERBS
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import free_port, prepare_home, start_mongod
from lbmigrate.state import COLLECTION
from tests.apps import TASKS, oid, session, task, user
from tests.docs.test_tables import COMMANDS
from tests.runs import until
from tests.valkey import Valkey, running

MARK = "S3cr3tMark"
PASSWORD, WRITTEN = f"{MARK}@/%?w", f"{MARK}%40%2F%25%3Fw"
REFERENCE = f"https://anna:{MARK}@snapshots.example/1?X-Amz-Signature={MARK}"
WHO = oid(1)
# Every verb with what it needs to do its work; what changes the database stands where its turn is.
WALK = (
    "config init made.yaml", "config check", "config show", "config show --json", "config schema",
    "doctor", "plan --estimate --json", f"run --backup-ref '{REFERENCE}'", "backfill", f"backfill --user {WHO}",
    "status --json", "history --json", "rejects --json", "rejects groups", "rejects list",
    "rejects retry", "rejects show x", "verify --full", "top", f"rank {WHO}", f"around {WHO}", f"explain {WHO}",
    "reconcile", "recount",
    "boards rebuild", "boards check", "boards status --json", "boards persist",
    "boards archive --before 2025-W03 --out old --yes", "boards restore old",
    "reconcile --dry-run", "tail --max-runtime 1s", "pause", "resume", "tune --workers 1", "worker",
    "flag show --json", "flag read off",
    "flag write off", "backup make --out kept --sources", "backup verify kept", f"forget {WHO} --yes",
    "run --dry-run --out outcome", "demo --users 3 --tasks 5 --sessions 2", "rollback --yes", "unlock --yes",
    "backup restore kept --yes",
)  # fmt: skip
NOTHING = {"tune --workers 1", "worker", "rejects show x"}  # there is no such run, no such document
DEMAND = {"--uri": " --uri '{}'", "--uri=": " --uri='{}'", "environment": ""}


@pytest.fixture(scope="module")
def guarded(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A server in a replica set that asks for passwords: a client of its administrator, and a URI with a secret."""
    home = tmp_path_factory.mktemp("guarded")
    key = home / "key"
    key.write_text("k" * 32)
    key.chmod(0o600)
    extra = [f"--keyFile={key}"]  # whoever comes first, from this machine, may set it up
    server = start_mongod(prepare_home(home / "data"), free_port(), replica_set="tests", extra=extra)
    try:
        with open_client(server.uri) as first:
            first.admin.command("replSetInitiate", {"_id": "tests", "members": [{"_id": 0, "host": server.address}]})
            until(lambda: first.admin.command("hello")["isWritablePrimary"], "a primary")
            first.admin.command("createUser", "anna", pwd=PASSWORD, roles=["root"])
        uri = server.uri.replace("mongodb://", f"mongodb://anna:{WRITTEN}@") + "&authSource=admin"
        with open_client(uri) as admin:
            yield admin, uri
    finally:
        server.stop()


def said(done):
    return done.out + done.err


def everything_in(directory: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(each for each in directory.rglob("*") if each.is_file()):
        data = path.read_bytes()
        yield path, gzip.decompress(data) if path.suffix == ".gz" else data


def test_every_verb_is_walked():
    walked = {tuple(line.split()[:2]) for line in WALK} | {tuple(line.split()[:1]) for line in WALK}
    assert COMMANDS.keys() <= walked
    assert {line.split()[0] for line in WALK} == VERBS.keys()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that asks for a password, which is a secret of ours."""
    home = tmp_path / "valkey"
    home.mkdir()
    with running(home, "--requirepass", MARK) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("way", DEMAND)
def test_no_verb_says_or_keeps_a_secret(way, guarded, valkey, terminal, tmp_path, monkeypatch, caplog):
    admin, uri = guarded
    name = f"test_{uuid.uuid4().hex[:12]}"
    app = admin[name]
    app["users"].insert_many([user(number) for number in (1, 2, 3)])
    app["tasks"].insert_many([task(number, owner=1 + number % 3, tenant=MARK) for number in range(30)])
    app["sessions"].insert_many([session(number) for number in range(5)])
    config = tmp_path / "leaderboard.yaml"
    written = {
        "database": {"uri": "${MONGODB_URI}" if way == "environment" else uri, "name": name},
        "users": {"collection": "users", "display_name": ["displayName"]},
        "sources": [{**TASKS, "where": {**TASKS.get("where", {}), "tenant": "${TENANT}"}}],
        "redis": {"url": "${CACHE_URL}"},
        "layout": "partitioned",
    }
    config.write_text(yaml.safe_dump(written))
    for variable, value in {
        "MONGODB_URI": uri, "TENANT": MARK, "LBMIGRATE_BACKUP_REF": REFERENCE,
        "CACHE_URL": f"redis://:{MARK}@127.0.0.1:{valkey.port}/0",
        "LBMIGRATE_CONFIG": str(config), "LBMIGRATE_REDIS_URL": f"{valkey.url}?password={MARK}",
    }.items():  # fmt: skip
        monkeypatch.setenv(variable, value)
    try:
        for line in WALK:
            if line.startswith("backup restore"):
                for collection in app.list_collection_names():
                    app.drop_collection(collection)
            if "--backup-ref" in line:
                monkeypatch.delenv("LBMIGRATE_BACKUP_REF")
            more = f"{line} --debug{DEMAND[way].format(uri) if not line.startswith(('backup verify', 'demo')) else ''}"
            done = terminal(*shlex.split(more))
            assert done.code in (0, 3) or line in NOTHING, (line, done.err)
            assert MARK not in said(done), line
            assert MARK not in json_util.dumps(list(app[COLLECTION].find())), line
        rows = json_util.dumps(list(app[COLLECTION].find()))
        assert "--user" not in rows or str(WHO) not in rows.partition("--user")[2][:60]
        for path, data in everything_in(tmp_path):
            mine = path == config or "tasks" in path.name  # the app's own documents say it
            assert mine or MARK.encode() not in data, path
        assert MARK not in caplog.text
    finally:
        admin.drop_database(name)


BAD = (
    "timezone: ${ODD}", "periods: ['${ODD}']", "backfill: {lag: '${ODD}'}", "database: {name: 'a/${ODD}'}",
    "state: {database: '$${ODD}/${ODD}'}", "flag: {collection: 'a$${ODD}${ODD}$$'}",
)  # fmt: skip


@pytest.mark.parametrize("part", BAD)
def test_a_problem_of_a_configuration_does_not_tell_what_a_variable_holds(part, terminal, monkeypatch):
    terminal.config.write_text(f"{part}\nsources: []\n")
    monkeypatch.setenv("ODD", f"{MARK}'\"\\ x")
    for verb in ("config check", "config show", "doctor", "run --debug"):
        refused = terminal(*verb.split(), "-c", str(terminal.config))
        assert refused.code == 2
        assert not any(MARK[at : at + 4] in said(refused) for at in range(len(MARK) - 3)), refused.err


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--uri", f"mongodb://anna:{MARK}"], ["run", f"--uri=mongodb://anna:{MARK}@h:x/"],
        ["run", "--uri", f"anna:{MARK}@h"], ["run", "--uri", f"mongodb://anna:{MARK}/x@h/"],
        ["run", f"--urri=mongodb://anna:{MARK}@h/"], ["run", f"mongodb://anna:{MARK}@h/"],
        ["run", "--workers", f"mongodb://anna:{MARK} x@h/"], [f"mongodb://anna:{MARK}@h/"],
        ["run", "-d", f"mongodb://anna:{MARK}@h/"], ["top", f"-dmongodb://anna:{MARK}@h/"],
        ["run", "--since", f"mongodb://anna:{MARK}@h/"], ["run", "--config", f"mongodb://anna:{MARK}@h/"],
        ["run", "--uri", f"mongodb://anna:{MARK}@127.0.0.1:1/?serverSelectionTimeoutMS=1"],
        ["run", "--uri", f"mongodb://h/?authMechanism={MARK}&x={MARK}"],
    ],
)  # fmt: skip
def test_an_unusable_command_line_is_told_without_its_secret(words, terminal):
    refused = terminal(*words, "--debug")
    assert refused.code in (1, 2)
    assert MARK not in said(refused)


@pytest.mark.parametrize("variable", ["LBMIGRATE_WORKERS", "LBMIGRATE_TO", "LBMIGRATE_MAX_DOCS"])
def test_a_secret_in_the_wrong_variable_is_not_quoted(variable, terminal, monkeypatch):
    monkeypatch.setenv(variable, f"{MARK}'x")
    refused = terminal("run")
    assert refused.code == 2
    assert variable in refused.err
    assert MARK not in refused.err


def test_an_empty_uri_says_how_to_give_it_again(terminal):
    refused = terminal("plan", "--uri", "")
    assert refused.code == 2
    assert "LBMIGRATE_URI" in refused.err


@pytest.mark.slow
def test_rows_of_an_earlier_version_lose_their_secrets_when_the_next_run_begins(database, terminal):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(1))
    terminal.configure(TASKS)
    assert terminal("run").code == 0
    database[COLLECTION].update_one({"_id": "backup"}, {"$set": {"ref": REFERENCE}})
    old = f"lbmigrate backfill --uri 'mongodb://anna:{MARK}@db/app' --user anna@example.org --full"
    database[COLLECTION].update_many({"kind": "run"}, {"$set": {"options.command": old, "error": f"at {REFERENCE}"}})
    holder = {"host": "elsewhere", "pid": 1, "born": 0.0, "command": old, "table": ""}
    database[COLLECTION].update_one({"_id": "lock"}, {"$set": {"holder": holder}})
    assert terminal("backup", "--out", "kept").code == 0
    kept = b"".join(data for _, data in everything_in(Path("kept")))
    rows = json_util.dumps(list(database[COLLECTION].find())) + kept.decode("utf-8", "replace")
    assert MARK not in rows
    assert "anna@example.org" not in rows
    assert (
        'lbmigrate backfill --uri "$LBMIGRATE_URI" --user USER --full'
        in database[COLLECTION].find_one({"verb": "run"})["options"]["command"]
    )


@pytest.mark.slow
def test_a_backup_of_an_earlier_version_comes_back_without_its_secrets(database, terminal, monkeypatch):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(1))
    terminal.configure(TASKS)
    assert terminal("run").code == 0
    with monkeypatch.context() as earlier:
        earlier.setattr("lbmigrate.migration.runner.clear_secrets", lambda state: 0)
        old = f"lbmigrate run --uri 'mongodb://anna:{MARK}@db/app'"
        database[COLLECTION].update_many({"kind": "run"}, {"$set": {"options.command": old}})
        assert terminal("backup", "--out", "kept").code == 0
    for name in database.list_collection_names():
        database.drop_collection(name)
    assert terminal("backup", "restore", "kept", "--yes").code == 0
    assert database[COLLECTION].count_documents({"kind": "run"}) > 1
    assert MARK not in json_util.dumps(list(database[COLLECTION].find()))
