"""What a verification found, and what it cannot do: the command that is named ends it."""

from __future__ import annotations

import datetime as dt
import json
import os

import pytest
from bson import Int64
from bson.errors import BSONError

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import UsageError
from lbmigrate.verify.actions import Ledger
from tests.apps import TASKS, oid, task

pytestmark = pytest.mark.sampled

ENTRY = f"global:{oid(1)}"
LATER = dt.datetime(2090, 1, 1)
REPAIR = "lbmigrate verify --full --repair"


def typed(terminal, hint):
    """Type the commands that a hint names, one after the other; each must go through."""
    for part in hint.split(", then: "):
        done = terminal(*part.removeprefix("lbmigrate ").split())
        assert done.code == 0, done.err


def board(terminal):
    """Who stands where. A repair adds events, which an entry counts, and takes none away."""
    found = terminal("top", "--json").result["places"]
    return [{name: value for name, value in place.items() if name != "events"} for place in found]


def spoil(app):
    """A score, a streak, an action that is gone, one that counts twice, one of other points, an index."""
    entries, events = app["leaderboard_entries"], app["score_events"]
    entries.update_one({"_id": ENTRY}, {"$set": {"score": Int64(7), "streak": 99}})
    events.delete_one({"_id": f"task_complete:{oid(1000)}"})
    event = events.find_one({"_id": f"task_complete:{oid(1001)}"})
    events.insert_one({**event, "_id": f"{event['_id']}-again"})
    events.update_one({"_id": f"task_complete:{oid(1002)}"}, {"$set": {"points": Int64(500)}})
    app["leaderboard_entries"].drop_index("period_1_score_-1_userId_-1")


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_exported_line_by_line_and_healed_by_the_repair_that_is_named(migrated, terminal):
    right = board(terminal), migrated["leaderboard_entries"].count_documents({})
    spoil(migrated)
    found = terminal("verify", "--full", "--export", "wrong.ndjson")
    assert (found.code, found.hint) == (5, REPAIR)
    with open("wrong.ndjson", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    kinds = {row["kind"] for row in rows}
    assert kinds >= {"score", "streak", "unscored source", "duplicate action", "wrong points", "structure"}
    assert all(row["reason"] and row["heals"] and row["finding"] is False for row in rows)
    repaired = terminal("verify", "--full", "--repair")
    assert repaired.code == 0, repaired.err
    told = " ".join(repaired.err.split())
    assert "create the collections and indexes that are missing" in told
    assert "read all sources again" in told
    assert "add adjustment events" in told
    assert (board(terminal), migrated["leaderboard_entries"].count_documents({})) == right
    assert terminal("verify", "--full").code == 0


def test_a_repair_says_nothing_and_does_nothing_where_nothing_is_wrong(migrated, terminal):
    before = list(migrated["leaderboard_entries"].find()), list(migrated["score_events"].find())
    done = terminal("verify", "--full", "--repair")
    assert (done.code, "repair" in done.err) == (0, False)
    assert (list(migrated["leaderboard_entries"].find()), list(migrated["score_events"].find())) == before


def test_a_repair_also_shows_users_as_their_documents_say_where_that_fails_no_verification(migrated, terminal):
    entries = migrated["leaderboard_entries"]
    shown = list(entries.find({}, {"displayNameSnapshot": 1, "optOutSnapshot": 1}))
    entries.update_one({"_id": ENTRY}, {"$set": {"displayNameSnapshot": "as it was", "optOutSnapshot": True}})
    done = terminal("verify", "--full", "--repair")
    assert done.code == 0, done.err
    assert "compute the entries of these users again" in " ".join(done.err.split())
    assert list(entries.find({}, {"displayNameSnapshot": 1, "optOutSnapshot": 1})) == shown
    assert terminal("verify", "--full").err.count("document says") == 0


def test_what_no_command_heals_passes_when_a_person_has_seen_to_what_is_named(migrated, terminal):
    migrated["score_events"].create_index("createdAt", expireAfterSeconds=10**9)
    for words in (("verify",), ("verify", "--full", "--repair")):
        refused = terminal(*words)
        assert (refused.code, refused.hint) == (5, "see to what is named, then: lbmigrate verify")
        assert "score_events.createdAt_1 has a TTL" in " ".join(refused.err.split())
    migrated["score_events"].drop_index("createdAt_1")
    typed(terminal, "lbmigrate verify")


def test_what_could_not_be_read_is_not_passed_and_passes_when_the_document_is_gone(migrated, terminal, monkeypatch):
    def unreadable(*_):
        raise BSONError("not a document")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "check_range", unreadable)
        refused = terminal("verify", "--full")
    assert (refused.code, refused.hint) == (5, "lbmigrate doctor")
    assert terminal("verify", "--full", "--json").result["verdict"]["skipped"] == []
    assert terminal("verify", "--full").code == 0


def test_a_file_that_cannot_be_written_is_named_before_anything_is_compared(migrated, terminal):
    refused = terminal("verify", "--export", "nowhere/wrong.ndjson")
    assert (refused.code, refused.hint) == (2, "name a file in a directory that is there")
    os.mkdir("nowhere")
    assert terminal("verify", "--export", "nowhere/wrong.ndjson").code == 0


def test_a_sample_that_is_said_in_two_ways_is_said_in_one(migrated, terminal):
    refused = terminal("verify", "--sample", "5", "--max-error", "0.1")
    assert (refused.code, refused.hint) == (2, "give one of them")
    for words in (("--sample", "5"), ("--max-error", "0.1")):
        assert terminal("verify", *words).code == 0


# --- what is no mismatch, and not at its end either ----------------------------------------------------------------


def test_sources_that_changed_or_went_since_are_told_and_settled_by_the_command_that_is_named(migrated, terminal):
    migrated["tasks"].update_one({"_id": oid(1000)}, {"$set": {"status": "todo", "updatedAt": LATER}})
    migrated["tasks"].update_one({"_id": oid(1002)}, {"$set": {"userId": oid(2), "updatedAt": LATER}})
    migrated["tasks"].delete_one({"_id": oid(1001)})
    for words in (("verify",), ("verify", "--full")):
        done = terminal(*words)
        told = " ".join(done.err.split())
        assert done.code == 0
        assert "3 actions count for documents that have changed or gone since" in told
        assert told.rpartition("next: ")[2].startswith("lbmigrate reconcile")
    typed(terminal, "lbmigrate reconcile")
    done = terminal("verify", "--full")
    assert (done.code, "next: " in done.err) == (0, False)


NEVER_RIGHT = {
    "points": {"points": Int64(1_000)},
    "user": {"userId": oid(77)},
    "time": {"createdAt": dt.datetime(2150, 1, 1)},
    "type": {"points": 10.0},  # which counts for nobody: only where its document is there something is missing
}
PAIRS = [
    (change, became)
    for became in ("there", "changed", "gone", "out of scope")
    for change in NEVER_RIGHT
    if change != "type" or became in ("there", "changed")
]


@pytest.mark.parametrize(("change", "became"), PAIRS)
def test_what_never_was_right_fails_whatever_became_of_its_document(migrated, terminal, change, became):
    migrated["score_events"].update_one({"_id": f"task_complete:{oid(1000)}"}, {"$set": NEVER_RIGHT[change]})
    if became == "gone":
        migrated["tasks"].delete_one({"_id": oid(1000)})
    elif became != "there":
        now = {"updatedAt": LATER} if became == "changed" else {"updatedAt": LATER, "status": "todo"}
        migrated["tasks"].update_one({"_id": oid(1000)}, {"$set": now})
    assert terminal("backfill", "--full").code == 0  # so that the entries are what the ledger says
    assert terminal("verify", "--full").code == 5
    repaired = terminal("verify", "--full", "--repair")
    assert repaired.code == 0, repaired.err


def test_sources_of_which_nothing_is_left_fail_though_each_document_may_have_gone(migrated, terminal):
    kept = list(migrated["tasks"].find())
    migrated["tasks"].delete_many({})
    assert terminal("verify").code == 5
    migrated["tasks"].insert_many(kept)
    assert terminal("verify").code == 0


# --- what a verdict is good for ------------------------------------------------------------------------------------


def verdicts(app):
    return app["lbmigrate_state"]


@pytest.mark.parametrize("reason", ["none", "failed", "old", "overtaken", "other rules"])
def test_a_verdict_that_is_not_to_be_relied_on_ends_with_3_until_the_next_verification(migrated, terminal, reason):
    assert terminal("status", "--max-staleness", "26h").code == 0
    if reason == "none":
        verdicts(migrated).delete_one({"_id": "verdict"})
    elif reason == "failed":
        verdicts(migrated).update_one({"_id": "verdict"}, {"$set": {"passed": False, "mismatches": 1}})
    elif reason == "old":
        verdicts(migrated).update_one({"_id": "verdict"}, {"$set": {"at": dt.datetime(2025, 1, 1)}})
    elif reason == "overtaken":
        migrated["tasks"].insert_one(task(50, owner=2, updatedAt=LATER))
        assert terminal("backfill").code == 0
    else:
        terminal.configure(TASKS, periods=["global", "week", "month"])
        assert terminal("backfill", "--full").code == 0
    stale = terminal("status", "--max-staleness", "26h")
    assert (stale.code, stale.hint) == (3, "lbmigrate verify")
    typed(terminal, stale.hint)
    assert terminal("status", "--max-staleness", "26h").code == 0


ASKS = {
    "everything": (
        {"level": "full"},
        ("--sample", "3"),
        "looked at a sample, and the configuration asks for everything",
    ),
    "more users": ({"max_error": 0.2}, ("--sample", "1", "--top", "0"), "and the configuration asks for 0.2"),
    "surer": (
        {"confidence": 0.99, "max_error": 0.5},
        ("--confidence", "0.5", "--sample", "5", "--top", "0"),
        "the configuration asks for 0.99",
    ),
}


@pytest.mark.parametrize(("rules", "words", "said"), ASKS.values(), ids=ASKS)
def test_a_verdict_that_says_less_than_the_configuration_asks_passes_no_cut_over(app, terminal, rules, words, said):
    app["users"].insert_many([{"_id": oid(number), "name": f"User {number}"} for number in range(10, 20)])
    app["tasks"].insert_many([task(100 + number, owner=number) for number in range(10, 20)])
    terminal.configure(TASKS, verify=rules)
    assert terminal("run", "--to", "4").code == 0
    assert terminal("verify", *words).code == 0
    refused = terminal("run", "--only", "6")
    assert (refused.code, refused.hint) == (6, "lbmigrate verify")
    assert said in " ".join(refused.err.split())
    typed(terminal, refused.hint)
    assert terminal("run", "--only", "6").code == 0


# --- reports and counters ------------------------------------------------------------------------------------------


def test_a_report_goes_where_and_in_the_form_that_the_hint_names(migrated, terminal):
    os.mkdir("out.html")
    for name, code, hint in (("out.pdf", 2, "end it in .html or .md"), ("out.html", 2, "name a file in it")):
        refused = terminal("verify", "--report", name)
        assert (refused.code, refused.hint) == (code, hint)
    assert terminal("verify", "--report", "out.html/out.md").code == 0
    assert os.path.getsize("out.html/out.md") > 100


def test_a_report_that_cannot_be_written_is_written_under_another_name(migrated, terminal):
    with open("file", "w", encoding="utf-8") as file:
        file.write("in the way")
    refused = terminal("verify", "--report", "file/out.md")
    assert (refused.code, refused.hint) == (1, "name another: --report FILE")
    assert terminal("verify", "--report", "out.md").code == 0


def test_what_was_not_verified_is_reported_after_a_verification(migrated, terminal, tmp_path):
    config = load_config(terminal.config)
    migrated["lbmigrate_state"].delete_one({"_id": "verdict"})
    with pytest.raises(UsageError) as caught:
        commands.write_report(config, tmp_path / "out.md")
    typed(terminal, str(caught.value.hint))
    commands.write_report(config, tmp_path / "out.md")
    assert (tmp_path / "out.md").stat().st_size > 100


@pytest.mark.parametrize("words", ["users", "gone:points"])
def test_a_counter_that_is_none_is_named_as_the_hint_says(migrated, terminal, words):
    refused = terminal("verify", "--against", words)
    assert refused.code == 2
    assert refused.hint == "write COLLECTION:PATH or COLLECTION:PATH:KEY"
    assert terminal("verify", "--against", "users:points").code == 0


def test_whom_nobody_knows_is_asked_for_by_an_id_that_the_hint_shows(migrated, terminal):
    refused = terminal("explain", "nobody")
    assert (refused.code, refused.hint) == (2, "lbmigrate top --json shows ids")
    [first, *_] = terminal("top", "--json").result["places"]
    assert terminal("explain", str(first["user"])).code == 0
    refused = terminal("explain", str(oid(1)), "--period", "2025-Q1")
    assert refused.code == 2
    example = refused.hint.removeprefix("name one, such as: ").split(", ")[0]
    assert terminal("explain", str(oid(1)), "--period", example).code == 0
