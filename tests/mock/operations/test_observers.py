"""Those who listen to a run: logs for programs, metrics, and the operator's own programs, which may forbid it."""

from __future__ import annotations

import http.server
import json
import re
import sys
import threading
from pathlib import Path

import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.migration.runner import Terms
from lbmigrate.observers.hooks import Hooks
from lbmigrate.records import Piece, Report, Work
from lbmigrate.run.connection import connection
from lbmigrate.state import State
from tests.apps import task

SECRET = "S3cr3tMark"


# --- the log -------------------------------------------------------------------------------------------------------


def lines(outcome):
    return [json.loads(line) for line in outcome.err.splitlines()]


def test_every_line_of_the_log_is_an_object_with_an_event_and_those_of_a_run_have_its_id(app, terminal):
    done = terminal("run", "--log-format", "json")
    assert done.code == 0
    told = lines(done)
    assert {"at", "level", "event"} <= set.intersection(*(set(line) for line in told))
    names = [line["event"] for line in told]
    assert names[0] == "connected"
    inside = told[names.index("run_started") : names.index("run_ended") + 1]
    [run] = {line.get("run") for line in inside}
    assert State(app).get(f"run:{run}")["outcome"] == "done"
    assert {line.get("verb") for line in inside} == {"run"}
    [chunk, *_] = [line for line in told if line["event"] == "chunk_done"]
    assert {"subject", "done", "total", "read", "emitted", "rejected"} <= chunk.keys()
    assert inside[-1]["documents"] == 6 + inside[-1]["rejects"]


@pytest.mark.parametrize("words", [["backfill", "--no-such"], ["backfill", "--since", "soon"], ["verify"]])
def test_errors_are_events_too_whatever_fails(terminal, app, words):
    for found in (terminal(*words, "--log-format=json"), terminal(*words, "--log-format", "json")):
        assert found.code != 0
        last = lines(found)[-1]
        assert (last["event"], last["code"], bool(last["next"])) == ("error", found.code, True)


def test_the_variable_asks_for_it_as_well(terminal, app, monkeypatch):
    monkeypatch.setenv("LBMIGRATE_LOG_FORMAT", "json")
    assert lines(terminal("plan"))[0]["event"] == "connected"
    assert lines(terminal("rank"))[-1]["event"] == "error"


def test_nothing_is_said_under_cron_when_all_is_well(migrated, terminal):
    for words in (["backfill"], ["backfill", "--log-format", "json"], ["recount"]):
        done = terminal(*words, "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")


def test_a_run_ends_with_what_it_came_to_its_id_and_what_is_next(app, terminal):
    app["tasks"].insert_one(task(50, userId=None))
    said = terminal("run").err
    found = re.search(r"run done in [\d.]+ s: 7 documents \([\d,.]+/s\), 6 events, 1 reject, \d+ entries", said)
    assert found, said
    assert re.search(r"\(run [0-9a-f]{8}\); next: lbmigrate rejects", said)


# --- hooks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hooks(tmp_path):
    """Makes a program that notes its variables, and ends as it is told."""
    directory = tmp_path / "hooks"
    directory.mkdir()

    def make(name, ends=0, says=""):
        path = directory / name
        path.write_text(f'#!/bin/sh\nenv >> "{tmp_path}/{name}.env"\necho "{says}" >&2\nexit {ends}\n')
        path.chmod(0o755)
        return tmp_path / f"{name}.env"

    make.directory = str(directory)
    return make


def variables(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def test_a_start_and_an_end_are_told_with_facts_and_without_secrets(app, terminal, hooks, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", f"mongodb://anna:{SECRET}@db")
    monkeypatch.setenv("SOME_PASSWORD", SECRET)
    started, finished = hooks("start"), hooks("finished-mail")
    uri = f"mongodb://anna:{SECRET}@db/?replicaSet=rs0"
    assert terminal("run", "--hooks", hooks.directory, "--uri", uri).code == 0
    assert SECRET not in started.read_text() + finished.read_text()
    begun, ended = variables(started), variables(finished)
    assert (begun["HOOK_EVENT"], begun["HOOK_VERB"], begun["HOOK_DATABASE"]) == ("start", "run", "app")
    assert (ended["HOOK_OUTCOME"], ended["HOOK_DOCUMENTS"], ended["HOOK_RUN"]) == ("done", "6", begun["HOOK_RUN"])
    assert not [name for name in begun if name.startswith("LBMIGRATE_")], "a hook may type commands of ours"


def test_one_that_fails_at_the_start_forbids_the_run_before_anything_is_written(app, terminal, hooks):
    hooks("start-10", ends=7, says="not on Fridays")
    failed = hooks("failed")
    done = terminal("run", "--hooks", hooks.directory)
    assert (done.code, "not on Fridays" in done.err) == (6, True)
    assert "score_events" not in app.list_collection_names()
    assert State(app).runs(1)[0]["outcome"] == "refused"
    assert variables(failed)["HOOK_OUTCOME"] == "refused"
    hooks("start-10", ends=0)
    assert terminal("run", "--hooks", hooks.directory).code == 0, "and when it agrees the same command does it"


def test_one_that_fails_later_is_told_and_the_run_goes_on(app, terminal, hooks):
    hooks("finished", ends=1, says="no mail today")
    done = terminal("run", "--hooks", hooks.directory)
    assert (done.code, "no mail today" in done.err) == (0, True)


def test_a_verdict_is_told_with_what_it_found(app, terminal, hooks):
    verdict = hooks("verdict")
    assert terminal("run", "--hooks", hooks.directory).code == 0
    assert (variables(verdict)["HOOK_PASSED"], variables(verdict)["HOOK_MISMATCHES"]) == ("true", "0")


def test_when_the_end_is_told_the_lock_is_free_and_the_run_on_record(client, terminal, app):
    here, seen = connection(client, load_config(terminal.config)), []

    def listen(report):
        if report.event == "finish":
            seen.append((here.state.get("lock")["holder"], here.state.runs(1)[0]["outcome"]))

    commands.run(here, terms=Terms(listen=listen), no_backup=True)
    assert seen == [(None, "done")]


def test_a_hold_is_told_once_with_what_ends_it_and_progress_now_and_then(hooks):
    now = iter([0.0, 5.0, 40.0, 41.0, 42.0])
    held, progress = hooks("held"), hooks("progress")
    listen = Hooks(Path(hooks.directory), print, lambda: next(now))
    work = Work("backfill", 4)
    listen(Report("start", work, facts={"run": "r1", "verb": "run"}))
    for done in (100, 200):
        listen(Report("piece", work, piece=Piece("tasks", done, 1_000)))
    for reason in ("lag of 11 s", "lag of 12 s"):
        listen(
            Report("piece", work, piece=Piece("tasks", held=reason, hold_kind="replication_lag", ends="it caught up"))
        )
    assert held.read_text().count("HOOK_EVENT=held") == 1
    assert (variables(held)["HOOK_KIND"], variables(held)["HOOK_ENDS"]) == ("replication_lag", "it caught up")
    assert (progress.read_text().count("HOOK_EVENT"), variables(progress)["HOOK_DONE"]) == (1, "200")


def test_what_is_not_executable_and_a_directory_that_is_none_are_told(app, terminal, tmp_path, hooks):
    hooks("start")
    (tmp_path / "hooks" / "start").chmod(0o644)
    assert "is not executable" in terminal("backfill", "--hooks", hooks.directory).err
    assert terminal("backfill", "--hooks", str(tmp_path / "none")).code == 2


# --- metrics -------------------------------------------------------------------------------------------------------


@pytest.fixture
def prometheus():
    return pytest.importorskip("prometheus_client")


def samples(text):
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    asked = tuple(sorted({"database": "app", **labels}.items()))
    return found[f"lbmigrate_{name}", asked]


def test_a_run_leaves_its_figures_in_a_file_that_is_whole(app, terminal, tmp_path, prometheus):
    app["tasks"].insert_one(task(50, userId=None))
    file = tmp_path / "lbmigrate.prom"
    assert terminal("run", "--metrics-file", str(file)).code == 0
    assert [path.name for path in tmp_path.glob("*.prom*")] == [file.name], "nothing of the writing is left beside it"
    found = samples(file.read_text())
    of = {"verb": "run"}
    results = {name: value(found, "run_documents", result=name, **of) for name in ("read", "emitted", "rejected")}
    assert results == {"read": 7, "emitted": 6, "rejected": 1}
    assert value(found, "run_success", **of) == 1
    assert value(found, "chunk_seconds_count", **of) >= 2
    assert value(found, "rejects", **of) == 1
    assert (value(found, "verdict_passed", **of), value(found, "verdict_mismatches", **of)) == (1, 0)
    assert value(found, "watermark_age_seconds", source="tasks", **of) < 600
    assert value(found, "source_read_timestamp_seconds", source="tasks", **of) > 1.7e9


def test_a_run_that_fails_says_so(migrated, terminal, tmp_path, prometheus):
    migrated.drop_collection("leaderboard_entries")
    file = tmp_path / "verify.prom"
    assert terminal("verify", "--metrics-file", str(file)).code == 5
    found = samples(file.read_text())
    assert (value(found, "run_success", verb="verify"), value(found, "apart", verb="verify")) == (0, 1)


def test_what_cannot_be_written_is_told_once_and_ends_nothing(app, terminal, tmp_path, prometheus):
    (tmp_path / "a.prom").mkdir()
    done = terminal("run", "--metrics-file", str(tmp_path / "a.prom"))
    assert (done.code, done.err.count("the metrics cannot be written")) == (0, 1)
    missing = terminal("run", "--metrics-file", str(tmp_path / "none" / "a.prom"))
    assert (missing.code, missing.hint) == (2, f"mkdir -p {tmp_path}/none")
    (tmp_path / "none").mkdir()
    assert terminal("run", "--metrics-file", str(tmp_path / "none" / "a.prom")).code == 0
    done = terminal("backfill", "--metrics-push", f"http://anna:{SECRET}@127.0.0.1:1")
    assert (done.code, "the metrics cannot be written" in done.err, SECRET in done.err) == (0, True, False)


def test_a_gateway_gets_them_with_the_verb_and_a_password_as_it_should(app, terminal, prometheus):
    got = []

    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://anna:{SECRET}@127.0.0.1:{server.server_port}"
        assert terminal("run", "--metrics-push", url).code == 0
    finally:
        server.shutdown()
        server.server_close()
    path, authorization, body = got[-1]
    assert path == "/metrics/job/lbmigrate/database/app/verb/run"
    assert authorization.startswith("Basic ")
    assert SECRET not in body
    assert value(samples(body), "run_success", verb="run") == 1


def test_without_the_library_the_extra_is_named(app, terminal, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = terminal("run", "--metrics-file", str(tmp_path / "a.prom"))
    assert (done.code, done.hint) == (2, "pip install 'lbmigrate[metrics]'")
    assert "score_events" not in app.list_collection_names()
