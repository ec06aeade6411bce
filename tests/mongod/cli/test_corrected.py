"""What an operator corrects or bounds, typed at a terminal: it lasts, it is told, and every hint ends its situation."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.mongo.client import open_client
from tests.apps import NEW_YEAR, TASKS, oid, task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind

DAY = dt.timedelta(days=1)


@pytest.fixture
def app(database, terminal):
    """A hundred tasks, one a day: sixty are done, forty archived."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    statuses = ["done" if number % 5 < 3 else "archived" for number in range(100)]
    tasks = [task(n, owner=1 + n % 3, hours=24 * n, status=status) for n, status in enumerate(statuses)]
    database["tasks"].insert_many(tasks)
    database["tasks"].create_index("updatedAt")
    terminal.configure(TASKS)
    return database


def points(app):
    return sum(event["points"] for event in app["score_events"].find())


def said(outcome):
    return " ".join(f"{outcome.out} {outcome.err}".split())


def typed(terminal, hint, until=""):
    """Type the commands that a hint names, one after the other; each must go through, the last one too."""
    for part in hint.split(", then: "):
        done = terminal(*part.removeprefix("lbmigrate ").split())
        assert done.code == 0, done.err
    return done


def hint_of(outcome):
    return outcome.err.rpartition("next: ")[2].strip()


@pytest.mark.slow
def test_a_filter_that_is_widened_reads_history_again_and_plan_names_what_settles_it(app, terminal):
    assert terminal("run").code == 0
    assert points(app) == 600
    terminal.configure({**TASKS, "where": {"status": {"$in": ["done", "archived"]}}})
    found = terminal("plan")
    assert found.code == 3
    assert "backfill 100 documents of tasks in 20 chunks: its `where` has changed since it was read" in said(found)
    assert hint_of(found) == "lbmigrate reconcile"
    refused = terminal("verify", "--full")
    assert refused.code == 5
    assert "lbmigrate reconcile" in refused.hint
    typed(terminal, hint_of(found))
    assert terminal("verify", "--full").code == 0
    assert points(app) == 1000
    assert terminal("plan").code == 0


@pytest.mark.slow
def test_a_first_pass_that_was_stopped_starts_over_after_a_correction(app, terminal):
    terminal.configure({**TASKS, "at": ["finishedAt"], "where": {}})
    app["tasks"].update_many({"_id": {"$lt": oid(1050)}}, [{"$set": {"finishedAt": "$completedAt"}}])
    stopped = terminal("run", "--max-docs", "30")
    assert stopped.code == 3
    terminal.configure({**TASKS, "where": {}})
    done = terminal("run")
    assert done.code == 0, done.err
    assert points(app) == 1000
    assert app["feature_flags"].find_one()["read"] is True


@pytest.mark.slow
def test_since_of_a_run_lasts_and_a_person_may_reach_further_back(app, terminal):
    since = (NEW_YEAR + 50 * DAY).isoformat()
    assert terminal("run", "--since", since).code == 0
    assert points(app) == 300
    for command in ("backfill", "backfill --full", "run", "reconcile"):
        assert terminal(*command.split()).code == 0
        assert points(app) == 300, command
    for verb in ("plan", "status"):
        assert f"as `run --since {since}` of " in said(terminal(verb))
        assert "lbmigrate run --since DATE, or --since all" in said(terminal(verb))
    assert terminal("run", "--since", "2025-01-21").code == 0
    assert points(app) == 480
    assert terminal("run", "--since", "all").code == 0
    assert points(app) == 600
    assert terminal("plan").code == 0


@pytest.mark.slow
def test_an_earlier_since_than_the_configuration_says_is_refused_and_the_hint_ends_it(app, terminal):
    terminal.configure(TASKS, backfill={"since": "2025-02-20", "chunk_size": 5})
    assert terminal("run").code == 0
    assert points(app) == 300
    refused = terminal("run", "--since", "2025-01-21")
    assert refused.code == 2
    assert hint_of(refused) == "an earlier `backfill.since`, then: lbmigrate backfill"
    terminal.configure(TASKS, backfill={"since": "2025-01-21", "chunk_size": 5})
    assert terminal("backfill").code == 0
    assert points(app) == 480


@pytest.mark.slow
def test_a_rehearsal_begins_where_the_board_does(app, terminal):
    assert terminal("run", "--since", "2025-02-20").code == 0
    assert terminal("run", "--dry-run", "--json").result["counts"]["emitted"] == 30


@pytest.mark.slow
def test_a_cut_over_with_points_of_other_rules_is_refused_and_the_hint_ends_it(app, terminal):
    assert terminal("run", "--to", "5").code == 0
    terminal.configure({**TASKS, "points": 15})
    refused = terminal("run")
    assert refused.code == 5
    assert "the ledger has 10 points, its source is worth 15" in refused.err
    assert app["feature_flags"].find_one()["read"] is False
    typed(terminal, hint_of(refused))
    assert terminal("run").code == 0
    assert points(app) == 900
    assert app["feature_flags"].find_one()["read"] is True


# --- the environment ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_user_of_the_environment_who_is_nobody_is_refused_and_the_hint_ends_it(app, terminal, monkeypatch):
    assert terminal("run").code == 0
    monkeypatch.setenv("LBMIGRATE_USER", "lbmigrate_rw")
    refused = terminal("backfill", "--quiet")
    assert refused.code == 2
    assert "LBMIGRATE_USER=lbmigrate_rw" in refused.err.splitlines()[0]
    assert "nobody has the id 'lbmigrate_rw'" in refused.err
    assert "unset LBMIGRATE_USER" in hint_of(refused)
    monkeypatch.delenv("LBMIGRATE_USER")
    assert terminal("backfill").code == 0


def test_what_the_environment_bounds_or_agrees_to_is_told_right_after_the_server(app, terminal, monkeypatch):
    monkeypatch.setenv("LBMIGRATE_TO", "2")
    monkeypatch.setenv("LBMIGRATE_YES", "1")
    monkeypatch.setenv("LBMIGRATE_MAX_DOCS", "7")
    done = terminal("run")
    assert done.code == 0
    assert "LBMIGRATE_TO=2" in done.err.splitlines()[1]
    assert "LBMIGRATE_YES=1" in done.err.splitlines()[1]
    assert "LBMIGRATE_MAX_DOCS=7" in done.err.splitlines()[2]
    assert "LBMIGRATE_TO" not in terminal("run", "--to", "3", "--quiet").err
    assert "LBMIGRATE" not in terminal("plan").err


@pytest.mark.slow
def test_bounds_that_leave_nothing_are_a_warning(app, terminal):
    assert terminal("run").code == 0
    none = terminal("backfill", "--since", "2031-01-01", "--quiet")
    assert none.code == 0
    assert "! no document is within --since 2031-01-01T00:00Z" in none.err
    none = terminal("backfill", "--user", str(oid(3)), "--until", "2020-01-01")
    assert "! no document is within --until 2020-01-01T00:00Z --user " in none.err


@pytest.mark.parametrize("words", ["plan", "backfill", "config check", "rollback --yes", "top"])
def test_a_variable_that_does_not_exist_is_refused_with_the_nearest_and_the_hint_ends_it(
    app, terminal, monkeypatch, words
):
    assert terminal("run").code == 0
    monkeypatch.setenv("LBMIGRATE_DATABSE", "production")
    refused = terminal(*words.split())
    assert refused.code == 2
    assert "there is no variable LBMIGRATE_DATABSE; did you mean LBMIGRATE_DATABASE?" in refused.err
    assert hint_of(refused) == "unset LBMIGRATE_DATABSE"
    assert points(app) == 600
    monkeypatch.delenv("LBMIGRATE_DATABSE")
    assert terminal(*words.split()).code == 0


# --- the database ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["run", "plan", "backfill", "config check", "rollback --yes"])
def test_a_uri_that_names_another_database_is_refused_before_anything_is_opened(app, terminal, words):
    server, _, options = terminal.uri.partition("/?")
    other = f"{server}/staging?{options}"
    refused = terminal(*words.split(), "--uri", other)
    assert refused.code == 2
    assert f"is {app.name}, and the URI names the database staging" in refused.err
    with open_client(terminal.uri) as client:
        assert "staging" not in client.list_database_names()
    assert "lbmigrate_state" not in app.list_collection_names()


# --- nothing to count ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (
            {"status": "Done"},
            "status is string 'done' in 60 of 100 documents looked at; `where` asks for string 'Done'",
        ),
        ({"flag": True}, "flag is int 1 in 100 of 100 documents looked at; `where` asks for bool True"),
        ({"gone": None, "state": "done"}, "none of 100 documents looked at has state; `where` asks for string 'done'"),
    ],
    ids=["case", "type", "field"],
)
def test_a_board_that_nothing_is_on_is_not_cut_over_and_the_likely_reason_is_named(app, terminal, where, reason):
    app["tasks"].update_many({}, {"$set": {"flag": 1}})
    terminal.configure({**TASKS, "where": where})
    refused = terminal("run")
    assert refused.code == 6
    for told in (refused, terminal("doctor")):
        assert reason in said(told)
    assert "! tasks: no document of tasks meets" in refused.err
    assert not app["feature_flags"].find_one()["read"]
    terminal.configure(TASKS)
    assert terminal("backfill", "--full").code == 0
    assert terminal("run").code == 0


@pytest.mark.slow
def test_documents_of_which_none_could_be_scored_are_named_with_the_reason_and_the_hint_ends_it(app, terminal):
    app["tasks"].update_many({}, {"$set": {"completedAt": "soon"}})
    refused = terminal("run")
    assert refused.code == 5
    assert "60 documents could not be scored, such as: " in refused.err
    assert hint_of(refused).startswith("correct the mapping (lbmigrate rejects, lbmigrate doctor)")
    terminal.configure({**TASKS, "at": ["updatedAt"]})
    assert terminal("run").code == 0
    assert points(app) == 600


def test_a_board_that_begins_after_the_last_action_says_so_and_the_hint_ends_it(app, terminal):
    refused = terminal("run", "--since", "2031-01-01")
    assert refused.code == 5
    assert "actions before 2031-01-01T00:00:00Z are left out, as `run --since 2031-01-01` of " in refused.err
    assert hint_of(refused) == "lbmigrate run --since DATE, or --since all"
    assert terminal("run", "--since", "all").code == 0
    assert points(app) == 600


def test_a_verification_of_nobody_is_no_verification(app, terminal):
    assert terminal("run", "--to", "4").code == 0
    refused = terminal("verify", "--sample", "0", "--top", "0")
    assert (refused.code, "compare nobody" in refused.err) == (2, True)
    assert terminal("verify", "--full").code == 0
