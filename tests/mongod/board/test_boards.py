"""Boards in Redis on a real Valkey: kept like the entries, whatever fails, and never believed when they are stale."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import contextmanager

import pytest
from bson import Int64

from lbmigrate import Board, ScoreRecorder
from lbmigrate.board.members import member_of
from lbmigrate.board.redis_client import client_of
from lbmigrate.config.load import load_config
from lbmigrate.mongo.process import free_port
from lbmigrate.state import COLLECTION, State
from tests.apps import TASKS, oid, task, user
from tests.valkey import Valkey

PEOPLE = 12


@pytest.fixture
def app(database, terminal, valkey):
    """A migrated app whose boards are in Redis; number n has n // 2 tasks, so that each score but 0 is a tie."""
    database["users"].insert_many([user(number) for number in range(1, PEOPLE + 1)])
    numbers = [number for number in range(1, PEOPLE + 1) for _ in range(number // 2)]
    database["tasks"].insert_many([task(100 + place, userId=oid(who)) for place, who in enumerate(numbers)])
    terminal.configure(TASKS, redis={"url": valkey.url})
    assert terminal("run").code == 0
    return database


@pytest.fixture
def config(app, terminal):
    return load_config(terminal.config)


@contextmanager
def answering(words):
    """Somebody who is no Redis, and says the same to whoever connects; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    guest, _ = server.accept()
                except OSError:
                    return
                with guest:
                    guest.recv(1000)
                    guest.sendall(words)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving.join()


def entries(database, period="global"):
    return {
        member_of(each["userId"]): each["score"] for each in database["leaderboard_entries"].find({"period": period})
    }


def ranks(database, period="global"):
    scores = entries(database, period)
    return {user: 1 + sum(other > score for other in scores.values()) for user, score in scores.items()}


def recorded(app, config, number, who):
    return ScoreRecorder(app, config, strict=True).record("task_complete", oid(who), oid(number))


@pytest.mark.slow
def test_a_migration_fills_a_sorted_set_for_each_period(app, valkey, terminal):
    periods = app["leaderboard_entries"].distinct("period")
    assert len(periods) > 1
    assert all(valkey.board(period) == entries(app, period) for period in periods)
    assert terminal("boards", "check").code == 0
    status = terminal("boards", "status", "--json").result
    assert {each["period"]: each["members"] for each in status["boards"]} == {p: len(entries(app, p)) for p in periods}
    assert all(each["believed"] for each in status["boards"])


def test_what_is_recorded_live_is_on_its_boards_at_once_and_a_repeat_changes_nothing(app, config, valkey):
    assert recorded(app, config, 900, 3)
    before = valkey.board()
    assert before == entries(app)
    assert not recorded(app, config, 900, 3)
    assert valkey.board() == before


@pytest.mark.slow
def test_a_period_that_begins_gets_its_board_with_the_first_action(app, config, valkey):
    assert recorded(app, config, 900, 3)  # of today: the history is older
    newest = max(period for period in app["leaderboard_entries"].distinct("period") if period != "global")
    assert valkey.board(newest) == entries(app, newest) != {}


def test_ranks_are_those_of_mongodb_ties_included(app, config, valkey):
    plain = Board(app, config.model_copy(update={"redis": config.redis.model_copy(update={"url": None})}))
    quick = Board(app, config)
    for number in range(1, PEOPLE + 1):
        assert quick.rank(oid(number)) == plain.rank(oid(number))
        assert quick.around(oid(number), n=2) == plain.around(oid(number), n=2)
    assert quick.top(n=100) == plain.top(n=100)
    valkey.client.zadd("lb:global", {"somebody": 10**6})  # so they do come from there
    assert quick.rank(oid(2)).rank == plain.rank(oid(2)).rank + 1


def test_who_opts_out_leaves_the_boards_and_still_counts_for_the_ranks_of_others(app, config, valkey, terminal):
    app["users"].update_one({"_id": oid(12)}, {"$set": {"hidden": True}})
    assert terminal("backfill", "--full").code == 0
    assert str(oid(12)) not in valkey.board()
    assert len(valkey.board()) == len(entries(app))
    assert terminal("boards", "check").code == 0
    assert Board(app, config).rank(oid(10)).rank == 2
    app["users"].update_one({"_id": oid(12)}, {"$set": {"hidden": False}})
    assert terminal("backfill", "--full").code == 0
    assert valkey.board() == entries(app)


def test_who_is_forgotten_leaves_every_board_for_good(app, config, valkey, terminal):
    assert terminal("forget", str(oid(12)), "--yes").code == 0
    assert valkey.board() == entries(app)
    assert not any(str(oid(12)) in str(valkey.client.hgetall(key)) for key in valkey.client.scan_iter("{lb:*}*"))
    assert terminal("boards", "check").code == 0


def test_without_redis_recording_goes_on_and_ranks_are_counted(app, config, valkey, terminal):
    valkey.kill()
    assert recorded(app, config, 900, 2)
    assert State(app).get("boards")["stale"]
    assert Board(app, config).rank(oid(2)).score == entries(app)[str(oid(2))]
    told = terminal("boards", "status")
    assert told.code == 1
    assert "cannot be used" in told.err
    valkey.start()
    assert terminal("boards", "rebuild").code == 0
    assert not State(app).get("boards")["stale"]
    assert terminal("boards", "check").code == 0
    assert valkey.board() == entries(app)


@pytest.mark.slow
def test_processes_rebuild_the_boards_that_one_thread_rebuilds(app, config, valkey, terminal):
    alone = terminal("boards", "rebuild", "--json")
    valkey.client.zadd("lb:global", {"somebody": 10**6})
    together = terminal("boards", "rebuild", "--json", "--executor", "processes", "--workers", "2")
    assert together.code == 0, together.err
    built, wanted = (json.loads(each.out.splitlines()[-1])["boards"] for each in (together, alone))
    assert built == wanted
    assert len(built) > 1
    assert valkey.board() == entries(app)
    assert terminal("boards", "check").code == 0


@pytest.mark.slow
def test_a_board_that_missed_something_is_not_believed_until_it_is_rebuilt(app, config, valkey, terminal):
    State(app).note("boards", stale=True, since=None, why="a publication failed", failure="x")
    valkey.client.zadd("lb:global", {"somebody": 10**6})
    assert Board(app, config).rank(oid(12)).rank == 1
    assert "stale" in terminal("boards", "status").err
    assert terminal("boards", "rebuild").code == 0
    assert valkey.board() == entries(app)


@pytest.mark.slow
def test_the_next_backfill_rebuilds_what_a_redis_that_lost_its_data_lacks(app, config, valkey, terminal):
    valkey.kill()
    valkey.start()  # nothing is saved
    assert valkey.board() == {}
    assert Board(app, config).rank(oid(12)).rank == 1
    assert terminal("backfill").code == 0
    assert valkey.board() == entries(app)
    assert terminal("boards", "check").code == 0


@pytest.mark.slow
def test_a_redis_started_again_from_an_old_file_is_not_believed(app, config, valkey, terminal):
    valkey.client.save()
    assert recorded(app, config, 900, 12)
    valkey.kill()
    valkey.start()
    assert valkey.board() != entries(app)  # the file is older than the last action
    valkey.client.zadd("lb:global", {"somebody": 10**6})
    assert Board(app, config).rank(oid(12)).rank == 1
    assert terminal("boards", "check").code == 5
    assert terminal("backfill").code == 0
    assert valkey.board() == entries(app)


HARM = {
    "a score that is another": lambda redis: redis.zadd("lb:global", {str(oid(3)): 999}),
    "a fraction": lambda redis: redis.zadd("lb:global", {str(oid(3)): 10.5}),
    "infinity": lambda redis: redis.zadd("lb:global", {str(oid(3)): "-inf"}),
    "a member that is gone": lambda redis: redis.zrem("lb:global", str(oid(3))),
    "a member that is no user": lambda redis: redis.zadd("lb:global", {"stranger": 5}),
    "a member that is no text": lambda redis: redis.zadd("lb:global", {b"\xff\x1b[2J": "inf"}),
    "a board deleted by hand": lambda redis: redis.delete("lb:global"),
    "what is known about it deleted": lambda redis: redis.delete("{lb:global}:about"),
}


def test_a_board_that_was_edited_is_named_and_the_hint_heals_it(app, valkey, terminal):
    for what, harm in HARM.items():
        harm(valkey.client)
        found = terminal("boards", "check")
        assert found.code == 5, what
        assert "global" in found.err
        assert "\x1b" not in found.err
        assert "next: lbmigrate boards rebuild" in found.err
        assert terminal("boards", "rebuild").code == 0
        assert terminal("boards", "check").code == 0
        assert valkey.board() == entries(app)


@pytest.mark.slow
def test_a_board_deleted_by_hand_is_not_believed_when_the_next_score_makes_its_key_again(app, config, valkey, terminal):
    valkey.client.delete("lb:global")
    assert recorded(app, config, 900, 3)
    assert Board(app, config).rank(oid(3)).rank == ranks(app)[str(oid(3))]
    assert terminal("boards", "status", "--json").result["stale"]
    assert "the boards in Redis are stale" in terminal("doctor").out
    assert terminal("backfill").code == 0
    assert valkey.board() == entries(app)
    assert not terminal("boards", "status", "--json").result["stale"]


@pytest.mark.slow
def test_a_rollback_removes_the_boards(app, valkey, terminal):
    assert terminal("rollback", "--to", "3", "--yes").code == 0
    assert list(valkey.client.scan_iter("*lb:*")) == []
    assert terminal("run").code == 0
    assert valkey.board() == entries(app)


@pytest.mark.slow
def test_a_score_that_a_sorted_set_cannot_hold_is_refused_by_name(app, config, valkey, terminal):
    app["leaderboard_entries"].update_one({"userId": oid(3), "period": "global"}, {"$set": {"score": Int64(2**53 + 1)}})
    refused = terminal("boards", "rebuild")
    assert refused.code == 1
    assert str(oid(3)) in refused.err
    assert valkey.board() != {}  # the board that was there stays


@pytest.mark.slow
def test_a_week_that_is_over_expires_in_redis_and_never_in_mongodb(app, valkey, terminal):
    terminal.configure(TASKS, redis={"url": valkey.url, "keep": "1000w"})
    assert terminal("boards", "rebuild").code == 0
    week = max(period for period in app["leaderboard_entries"].distinct("period") if period != "global")
    assert valkey.client.ttl(f"lb:{week}") > 0
    assert valkey.client.ttl("lb:global") == -1
    before = app["leaderboard_entries"].count_documents({})
    terminal.configure(TASKS, redis={"url": valkey.url, "keep": "1d"})
    assert terminal("boards", "rebuild").code == 0
    assert valkey.board(week) == {}
    assert app["leaderboard_entries"].count_documents({}) == before
    assert terminal("boards", "check").code == 0


# --- what an app scores into Redis first -----------------------------------------------------------------------------


def scored(valkey, number, who, **more):
    """What the app does: the board moves at once, the action goes into the stream, in one transaction."""
    with valkey.client.pipeline() as both:
        both.zincrby("lb:global", 10, str(oid(who)))
        both.xadd("lb:actions", {"action": "task_complete", "user": str(oid(who)), "source": str(oid(number)), **more})
        both.execute()


def test_what_an_app_scored_first_becomes_events_and_counts_once(app, config, valkey, terminal):
    for number in range(900, 905):
        scored(valkey, number, 3, at="2025-03-04T10:00:00Z")
    scored(valkey, 900, 3, at="2025-03-04T10:00:00Z")  # told twice
    done = terminal("boards", "persist", "--json")
    assert done.code == 0
    assert done.result["counts"]["emitted"] == 5
    assert app["score_events"].count_documents({"sourceId": {"$in": [oid(n) for n in range(900, 905)]}}) == 5
    assert valkey.board() == entries(app)
    assert valkey.client.xlen("lb:actions") == 0
    assert terminal("boards", "check").code == 0


@pytest.mark.slow
def test_an_action_that_is_known_already_leaves_the_score_that_it_has(app, config, valkey, terminal):
    assert recorded(app, config, 900, 3)
    scored(valkey, 900, 3)  # the app told both ways
    assert valkey.board() != entries(app)
    assert terminal("boards", "persist", "--json").result["counts"]["duplicates"] == 1
    assert valkey.board() == entries(app)
    assert terminal("forget", str(oid(3)), "--yes").code == 0
    scored(valkey, 901, 3)
    assert terminal("boards", "persist").code == 0
    assert valkey.board() == entries(app)
    assert str(oid(3)) not in valkey.board()


@pytest.mark.slow
def test_killed_before_it_acknowledges_it_reads_the_actions_again_and_doubles_nothing(app, config, valkey, terminal):
    scored(valkey, 900, 3)
    real = client_of(valkey.url)
    real.xgroup_create("lb:actions", "lbmigrate", id="0")
    real.xreadgroup("lbmigrate", "dead", {"lb:actions": ">"})
    assert recorded(app, config, 900, 3)  # its event is durable, and it was not acknowledged
    assert terminal("boards", "persist").code == 0
    assert app["score_events"].count_documents({"sourceId": oid(900)}) == 1
    assert valkey.client.xlen("lb:actions") == 0
    assert valkey.board() == entries(app)


ODD = (
    {"action": "unknown"}, {"user": ""}, {"source": ""}, {"points": "1.5"}, {"points": "9" * 30}, {"at": "soon"},
    {"at": "2190-01-01T00:00:00Z"}, {"meta": "["}, {"meta": json.dumps({"origin": "x"})}, {"user": "anna"},
)  # fmt: skip


@pytest.mark.slow
def test_actions_that_can_be_no_event_are_set_aside_with_the_reason_and_stop_no_other(app, valkey, terminal):
    good = {"action": "task_complete", "user": str(oid(3)), "source": str(oid(900))}
    for odd in ODD:
        valkey.client.xadd("lb:actions", {**good, "source": str(oid(901)), **odd})
    valkey.client.xadd("lb:actions", good)
    done = terminal("boards", "persist", "--json")
    assert done.result["counts"] | {"rejected": len(ODD), "emitted": 1} == done.result["counts"]
    assert app["score_events"].count_documents({"sourceId": {"$in": [oid(900), oid(901)]}}) == 1
    assert "{lb:actions}:refused" in done.err
    aside = valkey.client.xrange("{lb:actions}:refused")
    assert [each["refused"] != "" and odd.items() <= each.items() for odd, (_, each) in zip(ODD, aside, strict=True)]
    assert valkey.client.xlen("lb:actions") == 0


@pytest.mark.slow
def test_while_recording_is_off_the_actions_stay_in_redis(app, valkey, terminal):
    scored(valkey, 900, 3)
    assert terminal("flag", "write", "off").code == 0
    refused = terminal("boards", "persist")
    assert refused.code == 6
    assert "next: lbmigrate flag write on" in refused.err
    assert valkey.client.xlen("lb:actions") == 1
    assert terminal("flag", "write", "on").code == 0
    assert terminal("boards", "persist").code == 0
    assert app["score_events"].count_documents({"sourceId": oid(900)}) == 1


# --- a Redis that is none --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_redis_in_the_configuration_the_verbs_say_how_to_name_one(database, terminal):
    terminal.configure(TASKS)
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(100, userId=oid(1)))
    assert terminal("run").code == 0
    refused = terminal("boards", "rebuild")
    assert refused.code == 2
    assert "LBMIGRATE_REDIS_URL" in refused.err


UNFIT = {
    "wants a password": ["--requirepass", "hunter22"],
    "read-only replica": ["--replicaof", "127.0.0.1", "1"],
    "out of memory": ["--maxmemory", "1", "--maxmemory-policy", "noeviction"],
    "drops boards without notice": ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
}


@pytest.fixture
def small(database, terminal):
    """An app with one user, migrated without a Redis."""
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(100, userId=oid(1)))
    terminal.configure(TASKS)
    assert terminal("run").code == 0
    yield database
    client_of.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("said", list(UNFIT)[:-1])
def test_a_redis_that_cannot_take_boards_is_told_and_the_migration_goes_on(small, terminal, tmp_path, said):
    server = Valkey(tmp_path, UNFIT[said])
    server.start()
    try:
        terminal.configure(TASKS, redis={"url": server.url})
        assert terminal("backfill").code == 0
        assert entries(small) == {str(oid(1)): 10}
        refused = terminal("boards", "rebuild")
        assert refused.code == 1
        assert said in refused.err
        assert "next: " in refused.err
    finally:
        server.kill()


@pytest.mark.slow
def test_doctor_says_that_a_redis_would_drop_boards_when_its_memory_is_full(small, terminal, tmp_path):
    said = list(UNFIT)[-1]
    server = Valkey(tmp_path, UNFIT[said])
    server.start()
    try:
        terminal.configure(TASKS, redis={"url": server.url})
        warned = " ".join(terminal("doctor").out.split())
        assert said in warned
        assert "CONFIG SET maxmemory-policy noeviction" in warned
        server.client.config_set("maxmemory-policy", "noeviction")
        assert said not in " ".join(terminal("doctor").out.split())
    finally:
        server.kill()


@pytest.mark.slow
def test_what_is_no_redis_a_wrong_password_and_nobody_there_are_told_apart(small, terminal, valkey):
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        urls = {
            "does not speak the protocol of Redis": f"redis://127.0.0.1:{port}/0",
            "rejected the user name or the password": f"redis://anna:hunter22@127.0.0.1:{valkey.port}/0",
            "cannot be used": f"redis://127.0.0.1:{free_port()}/0",
        }
        for said, url in urls.items():
            terminal.configure(TASKS, redis={"url": url})
            refused = terminal("boards", "rebuild")
            assert refused.code == 1
            assert said in refused.err
            assert said in " ".join(terminal("doctor").out.split())
            assert "hunter22" not in refused.err


@pytest.mark.slow
def test_without_the_client_the_extra_is_named_and_nothing_else_needs_it(small, terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    assert terminal("top").code == 0
    terminal.configure(TASKS, redis={"url": "redis://127.0.0.1:1/0"})
    for verb in (("boards", "rebuild"), ("top",), ("backfill",)):
        refused = terminal(*verb)
        assert refused.code == 2
        assert "pip install 'lbmigrate[redis]'" in refused.err


@pytest.mark.slow
def test_a_value_of_another_kind_under_our_name_is_told_and_left_alone(app, config, valkey, terminal):
    valkey.client.delete("lb:global")
    valkey.client.set("lb:global", "mine")
    for verb in ("check", "rebuild"):
        assert "another kind of value" in terminal("boards", verb).err
    assert Board(app, config).rank(oid(3)).rank == ranks(app)[str(oid(3))]
    assert terminal("rollback", "--to", "3", "--yes").code == 0
    assert valkey.client.get("lb:global") == "mine"


@pytest.mark.slow
def test_on_a_cluster_every_verb_keeps_to_the_slots_of_its_boards(small, terminal, tmp_path):
    # Its members would meet at its port + 10,000, which may be no port.
    server = Valkey(tmp_path, ["--cluster-enabled", "yes", "--cluster-port", str(free_port())])
    server.start()
    try:
        server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        server.until(lambda: server.client.cluster("info")["cluster_state"] == "ok")
        terminal.configure(TASKS, redis={"url": server.url})
        assert terminal("boards", "rebuild").code == 0
        server.client.xadd("lb:actions", {"action": "task_complete", "user": str(oid(1)), "source": str(oid(101))})
        server.client.xadd("lb:actions", {"action": "none"})
        assert terminal("boards", "persist").code == 0
        assert terminal("boards", "check").code == 0
        assert server.board() == entries(small) == {str(oid(1)): 20}
        assert terminal("forget", str(oid(1)), "--yes").code == 0
        assert server.board() == {}
    finally:
        server.kill()


@pytest.mark.slow
def test_forgetting_says_so_when_redis_cannot_be_asked_and_is_done_when_it_is_back(app, valkey, terminal):
    valkey.client.save()
    valkey.kill()
    refused = terminal("forget", str(oid(3)), "--yes")
    assert refused.code == 1
    assert "Redis at" in refused.err
    valkey.start()
    assert terminal("forget", str(oid(3)), "--yes").code == 0
    assert str(oid(3)) not in valkey.board()
    assert app["leaderboard_entries"].count_documents({"userId": oid(3)}) == 0


@pytest.mark.slow
def test_a_password_in_the_url_is_shown_nowhere(app, terminal, valkey):
    terminal.configure(TASKS, redis={"url": f"redis://anna:hunter22@127.0.0.1:{valkey.port}/0"})
    for verb in ("status", "check", "rebuild", "persist"):
        told = terminal("boards", verb, "--debug")
        assert told.code == 1
        assert "hunter22" not in told.out + told.err
    rows = str([*app[COLLECTION].find(), *map(str, app.client.list_databases())])
    assert "hunter22" not in rows
    assert "anna:" not in rows
