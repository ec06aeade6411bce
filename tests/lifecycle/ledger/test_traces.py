"""After somebody has left, no collection of ours holds the id in any form, and nothing brings it back."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import bson
import pytest
from bson import Int64, json_util
from bson.binary import UuidRepresentation

from lbmigrate.board.board import Board
from lbmigrate.errors import Refused, UsageError
from lbmigrate.ledger import forget, leavers
from lbmigrate.ledger.leavers import KEY, KEY_FILE, Leavers
from lbmigrate.ledger.sources import CODECS
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Checkpoint
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.values.id_text import id_text, owner_texts
from lbmigrate.values.ids import id_forms, id_type
from tests.apps import TASKS, App, config, oid, task, user

pytestmark = pytest.mark.sampled

OURS = ("score_events", "leaderboard_entries", "lbmigrate_rejects", "lbmigrate_state", "feature_flags")
CHALLENGES = {
    "name": "challenges",
    "collection": "users",
    "action": "challenge",
    "unwind": "challenges",
    "user": "_id",
    "at": ["challenges.at"],
    "points": 5,
    "meta": {"owner": "_id", "note": "challenges.note"},
}
IDS = {
    "ObjectId": (oid(0xABCDEF), oid(2), oid(3)),
    "e-mail": ("ada.lovelace@example.com", "bob@example.com", "cy@example.com"),
    "name that JSON escapes": ('zo\u00eb "the first"', "bob", "cy"),
    "int": (733947, 2, 3),
    "uuid": tuple(uuid.UUID(int=(0xABCDEF << 100) + number) for number in (1, 2, 3)),
}
JSON = json_util.JSONOptions(uuid_representation=UuidRepresentation.STANDARD)
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(params=IDS)
def ids(request, database):
    if request.param == "uuid" and is_fake(database):
        pytest.skip("the in-memory stand-in takes a UUID and its Binary for two values")
    return IDS[request.param]


@pytest.fixture
def app(database, ids):
    """Three users with tasks of their own and challenges in their own documents, on the board."""
    at = task(1)["completedAt"]
    for number, who in enumerate(ids):
        done = [{"id": f"c{n}", "at": at, "note": f"by {id_text(who)}"} for n in range(3)]
        bad = [{"id": "bad", "at": f"never, says {id_text(who)}", "note": ""}]
        database["users"].insert_one({**user(1), "_id": who, "name": f"User {number}", "challenges": done + bad})
    database["tasks"].insert_many([{**task(number), "userId": ids[number % 3]} for number in range(12)])
    app = App(database, config(TASKS, CHALLENGES))
    app.apply(STEPS[:5])
    return app


def holding(app, who) -> list[Any]:
    """Every document of ours in which some form of the id still stands, read byte by byte."""
    text = id_text(who)
    forms = {text.lower(), text.replace("-", "").lower(), str(json_util.dumps(text))[1:-1].lower(), repr(who).lower()}
    raw = [who.binary] if hasattr(who, "binary") else [who.bytes] if isinstance(who, uuid.UUID) else []
    found = []
    for name in OURS:
        for row in app.database[name].find():
            words = json_util.dumps(row, json_options=JSON).lower() + repr(row).lower()
            texts = any(re.search(rf"(?<![0-9a-z]){re.escape(form)}(?![0-9a-z])", words) for form in forms)
            if texts or any(each in bson.encode(row, codec_options=CODECS) for each in raw):
                found.append((name, row))
    return found


def left_traces(app, who) -> None:
    """All that real life leaves of somebody: bounded backfills, one unfinished, failed runs, a verdict, rejects."""
    app.backfill(scope=Scope(user=id_text(who)))
    state = app.state
    state.put(
        Checkpoint(
            "run:1", {"error": f"user {who!r} failed", "options": {"command": f"lbmigrate rank {id_text(who)}"}}
        ),
        Checkpoint("chunk:tasks:1:0:0", {"users": [who, *id_forms(who)], "status": "emitted"}),
        Checkpoint("verdict", {"first": [f"user {id_text(who)} in 2025-W01: no entry", "user x in global: no entry"]}),
    )
    app.database["lbmigrate_rejects"].insert_one(
        {"_id": f"x:{id_text(who)}/c9", "reason": f"user {id_text(who)} is odd"}
    )
    assert {name for name, _ in holding(app, who)} == set(OURS) - {"feature_flags"}


def test_no_byte_of_the_id_is_left_in_any_collection_of_ours(app, ids):
    left_traces(app, ids[0])
    app.forget(id_text(ids[0]))
    assert holding(app, ids[0]) == []


def test_others_keep_their_points_and_the_next_runs_find_nothing_to_do(app, ids):
    left_traces(app, ids[0])
    before = {k: v["score"] for k, v in app.entries().items() if v["userId"] in ids[1:]}
    app.forget(id_text(ids[0]))
    events = app.event_ids()
    app.backfill()
    app.backfill(scope=Scope(full=True))
    assert app.reconcile().adjusted == 0
    assert app.event_ids() == events
    assert {k: v["score"] for k, v in app.entries().items()} == before
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert {place.original for place in Board(app.database, app.config).top()} == set(ids[1:])
    # The state has key ranges of what the app itself still keeps: an account is to be closed there first.
    assert [name for name, _ in holding(app, ids[0]) if name != "lbmigrate_state"] == []


def test_a_pass_that_was_begun_for_them_is_never_taken_up_again_and_loses_nothing(app, ids):
    scope = Scope(user=id_text(ids[0]))
    for number in range(20, 40):
        app.database["tasks"].insert_one({**task(number), "userId": ids[number % 3]})
    walk = STEPS[3].apply(app.context(scope=Scope(full=True)))
    for _, piece in zip(range(6), walk, strict=False):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
    walk.close()
    app.backfill(scope=scope)
    app.forget(id_text(ids[0]))
    assert holding(app, ids[0]) == []
    app.backfill(scope=Scope(full=True))
    theirs = [event for event in app.events() if event["userId"] in ids[1:] and event["actionType"] == "task_complete"]
    assert len(theirs) == app.database["tasks"].count_documents({"userId": {"$in": list(ids[1:])}})


@pytest.mark.slow
@pytest.mark.parametrize("way", ["backfill", "reconcile"])
def test_an_event_that_an_app_inserts_too_late_is_buried_and_makes_no_second(app, ids, way):
    app.forget(id_text(ids[0]))
    before = app.event_ids()
    late = {
        "actionType": "challenge",
        "points": Int64(5),
        "createdAt": task(1)["completedAt"],
        "meta": {"origin": "live"},
    }
    source_id = f"{owner_texts([ids[0]])[0]}/c1"
    app.database["score_events"].insert_one(
        {"_id": f"challenge:{source_id}", "userId": ids[0], "sourceId": source_id, **late}
    )
    if way == "backfill":
        app.backfill(scope=Scope(full=True))
    else:
        app.reconcile()
    assert app.event_ids() == before
    assert [name for name, _ in holding(app, ids[0]) if name != "lbmigrate_state"] == []


# --- who left, and the key ------------------------------------------------------------------------------------------


def test_a_thousand_guesses_at_an_id_take_seconds_without_a_key_and_find_nothing_with_one(app, ids, monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    app.forget(id_text(ids[0]))
    (row,) = (row for row in app.state.of_kind("forgotten") if "tombstone" in row)
    salt = app.state.get(leavers.SALT)["salt"]
    assert row["_id"].startswith(leavers.BY_KEY)
    monkeypatch.delenv(KEY)
    assert leavers.row_of(ids[0], salt) != row["_id"]
    began = time.monotonic()
    for number in range(5):
        leavers.row_of(number, uuid.uuid4().bytes)
    assert (time.monotonic() - began) / 5 > 0.01


def test_without_the_key_nothing_is_written_for_fear_that_somebody_comes_back(app, ids, monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    app.forget(id_text(ids[0]))
    before = app.event_ids()
    for other in (None, "another secret, long enough"):
        monkeypatch.delenv(KEY) if other is None else monkeypatch.setenv(KEY, other)
        with pytest.raises(Refused, match=KEY):
            app.backfill(scope=Scope(full=True))
    assert app.event_ids() == before
    monkeypatch.setenv(KEY, SECRET)
    app.backfill(scope=Scope(full=True))
    assert app.event_ids() == before


def test_the_key_may_stand_in_a_file_and_is_never_kept(app, ids, monkeypatch, tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
    app.forget(id_text(ids[0]))
    assert SECRET not in repr(list(app.state.rows.find()))
    assert ids[0] in Leavers(app.state)


@pytest.mark.parametrize("how", ["short", "missing file"])
def test_a_key_that_is_none_is_refused_before_anybody_is_forgotten(app, ids, monkeypatch, how, tmp_path):
    monkeypatch.setenv(*((KEY, "short") if how == "short" else (KEY_FILE, str(tmp_path / "nowhere"))))
    with pytest.raises(UsageError, match=KEY):
        app.forget(id_text(ids[0]))
    assert not list(app.state.of_kind("forgotten"))


def test_a_cheap_hash_of_an_older_version_still_keeps_them_away_and_goes_with_the_next_who_leaves(app, ids):
    salt = b"0" * 16
    old = f"forgotten:{leavers._inner(ids[0], salt)}"
    app.state.put(Checkpoint(leavers.SALT, {"salt": salt}), Checkpoint(old, {"tombstone": oid(77)}))
    assert ids[0] in Leavers(app.state)
    app.forget(id_text(ids[1]))
    kept = Leavers(app.state)
    assert (ids[0] in kept, ids[1] in kept, ids[2] in kept) == (True, True, False)
    assert id_type(kept.tombstone(ids[0])) == id_type(ids[0])
    assert app.state.get(old) == {}


def test_forget_says_what_is_kept_where_there_is_no_key(app, ids, monkeypatch):
    notes = [piece.note for piece in walked(app, id_text(ids[0]))]
    assert any(KEY in note for note in notes)
    monkeypatch.setenv(KEY, SECRET)
    assert not any(KEY in piece.note for piece in walked(app, id_text(ids[1])))


def walked(app, who):
    for piece in forget.pieces(app.context(), who):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
        yield piece
