"""The verbs at a terminal, on a real server: what they leave in the database, and their exit codes."""

from __future__ import annotations

import json

import pytest
from bson import Int64

from tests.apps import NEW_YEAR, oid, picture, session, task, user

OWN = {"score_events", "leaderboard_entries", "lbmigrate_rejects", "lbmigrate_state", "feature_flags"}
WRITES = {"insert", "update", "remove"}


@pytest.fixture
def app(database, terminal):
    """An app with three users, ready to migrate."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].insert_one(task(90, userId=None))
    database["tasks"].create_index("updatedAt")
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    return database


@pytest.fixture
def profile(database):
    """Everything that is written to the database from here on, as the server's profiler saw it."""
    database.create_collection("system.profile", capped=True, size=2**25)

    def start():
        database.command("profile", 2)

    def written():
        database.command("profile", 0)
        changes = ("ninserted", "ndeleted", "nModified", "upsert")
        found: dict[str, int] = {}
        for row in database["system.profile"].find({"ns": {"$ne": f"{database.name}.system.profile"}}):
            collection = row["ns"].removeprefix(f"{database.name}.")
            made = {"create", "createIndexes", "drop", "dropIndexes"} & row.get("command", {}).keys()
            if row["op"] in WRITES or made or (row["op"] == "command" and "findAndModify" in row.get("command", {})):
                count = sum(int(row.get(name, 0)) for name in changes) + len(made)
                if count:
                    found[collection] = found.get(collection, 0) + count
        return found

    start()
    yield written
    database.command("profile", 0)


# --- a whole migration ----------------------------------------------------------------------------------------------


def test_a_run_leads_through_all_steps_and_tells_what_became_of_the_documents(app, terminal):
    done = terminal("run", "--json")
    assert done.code == 0
    assert done.result["counts"] == {
        "read": 43, "emitted": 42, "duplicates": 0, "rejected": 1, "skipped": 0, "approximate": 0, "future": 0,
        "adjusted": 0,
    }  # fmt: skip
    assert app["score_events"].count_documents({}) == 42
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(3)}"})["score"] == 100
    assert app["feature_flags"].find_one()["read"] is True
    assert terminal("plan").code == 0
    assert terminal("verify", "--full", "--json").result["verdict"]["passed"] is True


def test_a_second_run_writes_nothing_outside_the_state(app, terminal, request):
    assert terminal("run").code == 0
    before = picture(app)
    written = request.getfixturevalue("profile")
    assert terminal("run").code == 0
    assert written().keys() == {"lbmigrate_state"}
    assert picture(app) == before


@pytest.mark.slow
def test_neither_a_run_nor_a_rollback_writes_to_the_sources(app, terminal, profile):
    sources = {name: documents for name, documents in picture(app).items() if name not in OWN}
    assert terminal("run").code == 0
    assert terminal("rollback", "--yes").code == 0
    written = profile()
    assert {"score_events", "leaderboard_entries", "lbmigrate_state"} <= written.keys() <= OWN
    assert {name: documents for name, documents in picture(app).items() if name not in OWN} == sources


def test_what_is_new_since_the_last_run_is_all_that_a_backfill_reads(app, terminal):
    app["tasks"].update_many({}, [{"$set": {"updatedAt": {"$add": ["$updatedAt", 0]}}}])
    terminal("run")
    assert terminal("plan").code == 0
    app["tasks"].insert_many([task(200 + number, owner=2, hours=24 * 300) for number in range(3)])
    planned = terminal("plan", "--json")
    assert planned.code == 3
    assert "3 documents of tasks, changed since" in str(planned.result["steps"][3]["todo"])
    done = terminal("backfill", "--json")
    assert done.code == 0
    assert done.result["counts"]["emitted"] == 3
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(2)}"})["events"] == 10 + 6 + 3
    assert terminal("plan").code == 3  # the verdict does not cover them
    assert terminal("verify").code == 0
    assert terminal("plan").code == 0


@pytest.mark.slow
def test_a_bounded_backfill_takes_one_user_and_one_stretch_of_time(app, terminal):
    terminal("run", "--to", "3")
    until = (NEW_YEAR.replace(day=3)).isoformat()
    done = terminal("backfill", "--user", str(oid(1)), "--until", until, "--json")
    assert done.code == 0
    assert {event["userId"] for event in app["score_events"].find()} == {oid(1)}
    assert all(event["createdAt"] < NEW_YEAR.replace(day=3) for event in app["score_events"].find())
    assert done.result["counts"]["emitted"] == app["score_events"].count_documents({}) > 0
    assert terminal("run").code == 0
    assert app["score_events"].count_documents({}) == 42


@pytest.mark.slow
def test_steps_can_be_taken_one_at_a_time(app, terminal):
    assert terminal("run", "--to", "2").code == 0
    assert app["score_events"].count_documents({}) == 0
    assert terminal("run", "--only", "4").code == 0
    assert app["score_events"].count_documents({}) == 42
    assert app["feature_flags"].find_one() is None
    assert terminal("run").code == 0
    assert terminal("rollback", "--to", "4", "--yes").code == 0
    assert app["score_events"].count_documents({}) == 42
    assert app["feature_flags"].find_one()["read"] is False
    assert app["feature_flags"].find_one()["write"] is True


@pytest.mark.slow
def test_data_can_be_kept_when_everything_is_turned_off(app, terminal):
    terminal("run")
    before = picture(app)
    assert terminal("rollback", "--keep-data", "--yes").code == 0
    after = picture(app)
    for name in ("score_events", "leaderboard_entries", "lbmigrate_rejects"):
        assert after[name] == before[name]
    assert not any(app["feature_flags"].find_one({"write": True}) or {})
    assert terminal("run").code == 0
    assert terminal("rollback", "--yes").code == 0
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions", "lbmigrate_state"}


# --- looking --------------------------------------------------------------------------------------------------------

LOOKING = [
    (("plan",), 3),
    (("status",), 0),
    (("history",), 0),
    (("flag", "show"), 0),
    (("top",), 0),
    (("rank", "someone"), 2),
    (("around", "someone"), 2),
    (("verify",), 5),
    (("rollback", "--yes"), 0),
]
every_look = pytest.mark.parametrize(("words", "code"), LOOKING, ids=[words[0] for words, _ in LOOKING])


@every_look
def test_looking_at_an_app_that_was_never_migrated_leaves_it_as_it_was(app, terminal, words, code):
    before = picture(app)
    assert terminal(*words).code == code
    assert terminal(*words, "--json").code == code
    assert picture(app) == before
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions"}


@every_look
def test_looking_at_a_database_that_is_not_there_does_not_make_it(database, terminal, words, code):
    assert terminal(*words).code == code
    assert database.name not in database.client.list_database_names()


@pytest.mark.slow
@pytest.mark.parametrize("words", [words for words, _ in LOOKING if words[0] not in ("rollback", "verify")], ids=str)
def test_looking_at_a_migrated_app_writes_nothing(app, terminal, request, words):
    terminal("run")
    written = request.getfixturevalue("profile")
    terminal(*(str(oid(1)) if word == "someone" else word for word in words))
    assert written() == {}


def test_the_board_is_told_as_the_app_would_read_it(app, terminal):
    terminal("run")
    places = terminal("top", "-n", "2", "--json").result["places"]
    assert [(place["rank"], place["name"], place["score"]) for place in places] == [
        (1, "User 2", 250), (1, "User 1", 250),
    ]  # fmt: skip
    app["users"].update_one({"_id": oid(2)}, {"$set": {"hidden": True}})
    assert [place["name"] for place in terminal("top", "--json").result["places"]] == ["User 1", "User 3"]
    assert terminal("rank", str(oid(3)), "--json").result["place"]["rank"] == 3
    assert terminal("rank", str(oid(2))).code == 2
    assert len(terminal("around", str(oid(3)), "--json").result["places"]) == 2
    unknown = terminal("top", "--period", "1999-W01")
    assert unknown.code == 2
    assert "1999-W01" in unknown.err


@pytest.mark.slow
def test_status_and_history_tell_how_far_everything_is(app, terminal):
    terminal("run", "--to", "4")
    told = terminal("status", "--json").result
    assert [step["status"] for step in told["steps"]] == ["applied"] * 4 + ["new"] * 2
    assert told["sources"][0]["counts"]["emitted"] == 30
    runs = terminal("history", "--json").result["runs"]
    assert [(row["verb"], row["outcome"]) for row in runs] == [("run", "done")]


@pytest.mark.parametrize("words", [("plan",), ("status",), ("top",), ("run",), ("history",), ("flag", "show")], ids=str)
def test_json_is_the_last_line_of_stdout_and_narration_goes_to_stderr(app, terminal, words):
    done = terminal(*words, "--json")
    assert json.loads(done.out)["verb"]
    assert "database" in done.err.splitlines()[0]


# --- verification ---------------------------------------------------------------------------------------------------


def test_a_wrong_entry_ends_verify_with_its_own_exit_code(app, terminal):
    terminal("run")
    app["leaderboard_entries"].update_one({"_id": f"global:{oid(1)}"}, {"$inc": {"score": Int64(1)}})
    found = terminal("verify", "--full", "--json")
    assert found.code == 5
    assert str(oid(1)) in found.err
    assert found.result["verdict"]["passed"] is False


@pytest.mark.slow
def test_reading_is_not_turned_on_without_a_verdict(app, terminal):
    terminal("run", "--to", "4")
    for words in (("flag", "read", "on"), ("run", "--only", "6")):
        refused = terminal(*words)
        assert refused.code == 6
        assert "next: lbmigrate verify" in refused.err
        assert app["feature_flags"].find_one()["read"] is False
    terminal("verify")
    assert terminal("flag", "read", "on").code == 0
    assert app["feature_flags"].find_one()["read"] is True
    assert terminal("flag", "read", "off").code == 0
    assert app["feature_flags"].find_one()["read"] is False


# --- the way back ---------------------------------------------------------------------------------------------------


def nothing(database):
    """Nothing was there."""


def a_flag(database):
    database["feature_flags"].insert_many(
        [{"_id": "leaderboard", "write": False, "read": False, "owner": "web"}, {"_id": "dark-mode", "on": True}]
    )


def another_programs_events(database):
    database["score_events"].insert_many([{"_id": 1, "what": "ours"}, {"_id": "x", "userId": "9", "meta": {"a": 1}}])
    database["score_events"].create_index([("userId", 1), ("createdAt", 1)], name="theirs")


def empty_collections(database):
    database.create_collection("leaderboard_entries", validator={"score": {"$exists": True}})
    database["leaderboard_entries"].create_index([("userId", 1)])
    database["leaderboard_entries"].create_index([("score", -1)])


@pytest.mark.parametrize(
    "there", [nothing, a_flag, another_programs_events, empty_collections], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("state", [None, "elsewhere"], ids=["state here", "state elsewhere"])
def test_a_rollback_leaves_what_was_there_before_and_so_does_a_second_one(app, terminal, there, state):
    there(app)
    terminal.configure(**({"state": {"database": f"{app.name}_{state}"}} if state else {}))
    before = picture(app)
    assert terminal("run").code == 0
    assert picture(app) != before
    for _ in range(2):
        assert terminal("rollback", "--yes").code == 0
        assert picture(app) == before
        assert ("lbmigrate_state" in app.list_collection_names()) is (state is None)
    app.client.drop_database(f"{app.name}_elsewhere")


@pytest.mark.slow
def test_a_rollback_drops_no_index_that_only_has_the_name_of_ours(app, terminal):
    app["leaderboard_entries"].create_index([("score", 1)], name="userId_1")
    before = picture(app)
    assert terminal("run").code == 1
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


@pytest.mark.slow
def test_a_rollback_asks_before_it_removes_anything(app, terminal):
    terminal("run")
    before = picture(app)
    refused = terminal("rollback")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert picture(app) == before


@pytest.mark.slow
def test_live_events_go_with_a_rollback_too(app, terminal):
    terminal("run")
    event = app["score_events"].find_one()
    app["score_events"].insert_one(
        {**event, "_id": f"{event['actionType']}:live", "sourceId": "live", "meta": {"origin": "live"}}
    )
    terminal("rollback", "--yes")
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions", "lbmigrate_state"}
