"""What is wrong with a configuration, or with a function that it names: what the hint says to do ends it."""

from __future__ import annotations

import sys

import pytest

from lbmigrate.config.load import load_config
from lbmigrate.errors import ConfigError, UsageError
from lbmigrate.live.recorder import ScoreRecorder
from lbmigrate.values import formula
from tests.apps import NEW_YEAR, SESSIONS, TASKS, oid

pytestmark = pytest.mark.slow

# --- the file ------------------------------------------------------------------------------------------------------


def typed(terminal, hint):
    done = terminal(*hint.rpartition("lbmigrate ")[2].split())
    assert done.code == 0, done.err


def test_where_there_is_no_configuration_the_command_of_the_hint_makes_the_one_that_is_read(app, terminal):
    written = terminal.config.read_text()
    terminal.config.unlink()
    refused = terminal("plan")
    assert (refused.code, refused.hint) == (2, "lbmigrate config init")
    typed(terminal, refused.hint)
    assert terminal("config", "check").code == 0
    (terminal.config.parent / "config" / "leaderboard.yaml").write_text(written)
    assert terminal("run").code == 0


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_configuration_that_is_named_and_not_there_is_made_in_its_place(app, terminal, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("LBMIGRATE_CONFIG", "rules/board.yaml")
    words = ["config", "check", *(["--config", "rules/board.yaml"] if how == "option" else [])]
    refused = terminal(*words)
    assert (refused.code, refused.hint) == (2, "lbmigrate config init rules/board.yaml")
    typed(terminal, refused.hint)
    assert terminal(*words).code == 0


def test_a_configuration_that_is_no_text_is_moved_away_and_started_over(app, terminal):
    terminal.config.write_bytes(b"\xff\xfe")
    refused = terminal("plan")
    assert "save it as UTF-8, or move it away, then: lbmigrate config init leaderboard.yaml" in refused.hint
    assert terminal("config", "init", "leaderboard.yaml").code == 2
    terminal.config.rename("before")
    typed(terminal, refused.hint)
    assert terminal("config", "check").code == 0


def test_a_configuration_of_a_newer_version_is_moved_away_and_started_over(app, terminal):
    terminal.configure(TASKS, version=2)
    refused = terminal("plan")
    assert "move the file away and start again with `lbmigrate config init`" in " ".join(refused.err.split())
    terminal.config.rename("before")
    assert terminal("config", "init").code == 0
    assert terminal("config", "check").code == 0


def test_a_configuration_that_cannot_be_read_is_looked_at_with_ls(app, terminal):
    written = terminal.config.read_text()
    terminal.config.unlink()
    terminal.config.mkdir()
    refused = terminal("plan", "--config", "leaderboard.yaml")
    assert refused.hint == "ls -l leaderboard.yaml"
    terminal.config.rmdir()
    terminal.config.write_text(written)
    assert terminal("plan").code == 3


def test_config_check_tells_every_problem_until_none_is_left(app, terminal):
    terminal.configure({**TASKS, "points": "minuts * 2", "colour": "red"})
    refused = terminal("run")
    assert refused.hint == "lbmigrate config check --config leaderboard.yaml"
    checked = terminal("config", "check", "--config", "leaderboard.yaml")
    assert (checked.code, "colour" in checked.err, "minuts" in checked.err) == (2, True, True)
    terminal.configure(TASKS)
    assert terminal("config", "check", "--config", "leaderboard.yaml").code == 0
    assert terminal("run").code == 0


# --- functions -----------------------------------------------------------------------------------------------------

RULES = """
import json, pandas as pd
def fair(frame): return pd.Series(7, index=frame.index)
def broken(frame): raise RuntimeError("no")
def short(frame): return pd.Series([1, 2, 3])
table = {}
"""
SLIPS = [  # what `points` names, what the hint says, what is right
    ("our_rules:fare", "define fare in our_rules", "our_rules:fair"),
    ("our_rules:table", "define table in our_rules", "our_rules:fair"),
    ("our_rules:json", "define json in our_rules", "our_rules:fair"),
    ("our_rulez:fair", "run lbmigrate where our_rulez can be imported, or install it", "our_rules:fair"),
]


def test_a_function_that_cannot_be_used_can_be_when_what_the_hint_says_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "our_rules.py").write_text(RULES)
    with pytest.raises(ConfigError, match="are not allowed; if you trust that module, say --allow-functions our_rules"):
        formula.load_function("our_rules:fair", ())
    for named, hint, right in SLIPS:
        with pytest.raises(ConfigError) as caught:
            formula.load_function(named, {"our_rules", "our_rulez"})
        assert caught.value.hint == hint
        assert callable(formula.load_function(right, {"our_rules"}))
    (tmp_path / "our_rules.py").write_text(RULES + "from json import dumps\n")
    monkeypatch.delitem(sys.modules, "our_rules")
    with pytest.raises(ConfigError, match="is from json") as caught:
        formula.load_function("our_rules:dumps", {"our_rules"})
    assert caught.value.hint == "define a function of its own in our_rules"


@pytest.mark.parametrize("name", ["broken", "short"])
def test_a_function_that_fails_is_fixed_and_the_run_goes_through(app, terminal, tmp_path, monkeypatch, name):
    module = f"rules_{name}"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", module)
    file = tmp_path / f"{module}.py"
    file.write_text(RULES)
    terminal.configure({**TASKS, "points": f"{module}:{name}"})
    refused = terminal("run")
    assert (refused.code, refused.hint) == (1, f"fix {module}:{name}")
    file.write_text(RULES.replace(f"def {name}", "def before").replace("def fair", f"def {name}"))
    monkeypatch.delitem(sys.modules, module)
    assert terminal("run").code == 0
    assert {event["points"] for event in app["score_events"].find()} == {7}


def test_a_formula_that_is_refused_when_it_is_used_is_one_that_config_check_names(app, terminal):
    with pytest.raises(ConfigError) as caught:
        formula.evaluate("minuts * 2", {}, 1)
    assert caught.value.hint == "lbmigrate config check"
    terminal.configure({**TASKS, "points": "minuts * 2"})
    assert terminal("config", "check").code == 2
    terminal.configure({**TASKS, "points": "2 * 5"})
    assert terminal("config", "check").code == 0


# --- what an app records -------------------------------------------------------------------------------------------


def test_what_an_app_may_not_record_goes_through_as_the_hint_says(migrated, terminal):
    terminal.configure(TASKS, SESSIONS)
    assert terminal("run").code == 0
    recorder = ScoreRecorder(migrated, load_config(terminal.config), strict=True)
    shown = terminal("config", "show").out
    assert all(word in shown for word in ("task_complete", "focus_session", "future_limit", "sources[0].name"))
    wrong = [
        (lambda: recorder.record("task_done", oid(1), oid(7)), "lbmigrate config show"),
        (lambda: recorder.record_source("task", oid(1000)), "lbmigrate config show"),
        (lambda: recorder.record("task_complete", oid(1), {"$gt": ""}), "give the _id of the document"),
        (lambda: recorder.record("focus_session", oid(1), oid(7)), "give points=N, or call record_source"),
        (lambda: recorder.record("focus_session", oid(1), oid(7), points=-5), "lbmigrate config show"),
        (lambda: recorder.record("task_complete", oid(1), oid(7), at=NEW_YEAR.replace(year=2150)), "future_limit"),
    ]
    for record, hint in wrong:
        with pytest.raises(UsageError) as caught:
            record()
        assert hint in caught.value.hint
    assert recorder.record("task_complete", oid(1), oid(7), at=NEW_YEAR)
    assert recorder.record("focus_session", oid(1), oid(7), points=5, at=NEW_YEAR)
    migrated["sessions"].insert_one({**SESSION, "_id": oid(8)})
    assert recorder.record_source("sessions", oid(8))


SESSION = {"userId": oid(1), "type": "focus", "endedAt": NEW_YEAR, "durationSec": 600}
