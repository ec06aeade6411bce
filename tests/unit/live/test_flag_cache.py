"""The cached flag, and how an action that the app tells becomes an event."""

from __future__ import annotations

import datetime as dt
import re
import threading

import pytest
from bson import Int64, ObjectId
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.errors import ServerSelectionTimeoutError

from lbmigrate.config.model import Flag as Settings
from lbmigrate.errors import UsageError
from lbmigrate.feature_flag import TAKES_EFFECT
from lbmigrate.live.flag_cache import LOOK_AGAIN, Flag, flag
from lbmigrate.records import MOST_POINTS
from lbmigrate.rules.event import constant_points, live_event, source_named, source_of
from lbmigrate.values.excerpts import excerpt
from tests.apps import NEW_YEAR, SESSIONS, TASKS, config, oid


class Flags(dict):
    """A database with one collection, which counts how often it is asked and may fail or take its time."""

    def __init__(self, **document):
        self.document, self.asked, self.error, self.meanwhile = document, 0, None, lambda: None

    def __missing__(self, _):
        return self

    def find_one(self, _):
        self.asked += 1
        found = dict(self.document)
        self.meanwhile()
        if self.error:
            raise self.error
        return found


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


# --- the flag ----------------------------------------------------------------------------------------------------


def test_a_flag_that_is_missing_or_anything_but_true_is_off(clock):
    for document in ({}, {"write": 1, "read": "true"}, {"write": None}):
        flag = Flag(Flags(**document), Settings(), clock)
        assert (flag.write, flag.read) == (False, False)


def test_both_sides_of_the_flag_are_told_apart(clock):
    flag = Flag(Flags(write=True, read=False), Settings(), clock)
    assert (flag.write, flag.read) == (True, False)


def test_asking_often_asks_the_server_seldom(clock):
    flags = Flags(write=True)
    flag = Flag(flags, Settings(), clock)
    assert all(flag.write for _ in range(10_000))
    assert flags.asked == 1


@given(st.lists(st.floats(min_value=0, max_value=3 * TAKES_EFFECT), min_size=1, max_size=50))
def test_a_flag_turned_off_is_off_for_everybody_in_time(pauses):
    clock, flags = Clock(), Flags(write=True)
    flag = Flag(flags, Settings(), clock)
    assert flag.write
    flags.document["write"] = False
    turned = clock.now
    for pause in pauses:
        clock.now += pause
        assert not (flag.write and clock.now - turned >= TAKES_EFFECT)


def test_a_flag_that_was_turned_while_the_server_answered_is_not_believed_for_longer(clock):
    flags = Flags(write=True)
    flags.meanwhile = lambda: setattr(clock, "now", clock.now + 4.0)
    flag = Flag(flags, Settings(), clock)
    assert flag.write  # four seconds old already
    flags.error = ServerSelectionTimeoutError("gone")
    clock.now += 1.0
    assert not flag.write


def test_an_unreadable_flag_is_off_and_asked_again_later(clock, caplog):
    flags = Flags(write=True)
    flags.error = ServerSelectionTimeoutError("gone")
    flag = Flag(flags, Settings(), clock)
    assert not flag.write
    assert not flag.write
    assert flags.asked == 1
    flags.error = None
    clock.now += LOOK_AGAIN
    assert flag.write
    assert "cannot be read" in caplog.text


def test_while_one_thread_looks_the_others_go_by_what_they_know(clock):
    flags, waiting, answer = Flags(write=True), threading.Event(), threading.Event()
    flag = Flag(flags, Settings(), clock)
    assert flag.write
    clock.now += LOOK_AGAIN
    flags.meanwhile = lambda: (waiting.set(), answer.wait(10))
    slow = threading.Thread(target=lambda: flag.write)
    slow.start()
    assert waiting.wait(10)
    assert flag.write  # this would hang if it waited for the other
    clock.now += TAKES_EFFECT
    answer.set()
    slow.join()
    assert not flag.write  # nor does it trust what is too old, even if the answer has just come


def test_a_flag_needs_no_configuration():
    assert flag(Flags(write=True)).write


# --- an action ---------------------------------------------------------------------------------------------------

SOURCE = config().sources[0]


SOMEBODY, SOME_TASK = oid(1), oid(7)


def made(user=SOMEBODY, source_id=SOME_TASK, points=10, at=NEW_YEAR, meta=(), source=SOURCE):
    return live_event(source, user, source_id, points, at, dict(meta))


def test_an_action_becomes_the_event_that_its_document_would():
    event = made(meta={"priority": "low"})
    assert event == {
        "_id": f"task_complete:{oid(7)}",
        "userId": oid(1),
        "actionType": "task_complete",
        "points": 10,
        "sourceId": oid(7),
        "meta": {"priority": "low", "origin": "live"},
        "createdAt": NEW_YEAR,
    }
    assert isinstance(event["points"], Int64)


@given(st.integers(-MOST_POINTS, MOST_POINTS))
@example(MOST_POINTS)
@example(-MOST_POINTS)
def test_whole_points_are_kept_as_they_are(points):
    assert made(points=points)["points"] == points


@pytest.mark.parametrize("points", [True, 1.0, "10", None, 2**53 + 1, -(2**63), 2**64])
def test_points_that_are_not_whole_or_too_large_are_refused(points):
    with pytest.raises(UsageError, match="points") as refused:
        made(points=points)
    assert str(points) in str(refused.value)


@pytest.mark.parametrize("at", ["2025-01-01", 1_700_000_000, dt.date(2025, 1, 1), dt.datetime(1, 1, 1)])
def test_a_time_that_is_none_is_refused(at):
    with pytest.raises(UsageError, match=rf"at must be a datetime .*, not {re.escape(excerpt(at))}$"):
        made(at=at)


def test_a_time_with_a_zone_becomes_utc_in_milliseconds():
    local = dt.datetime(2025, 1, 1, 2, 0, 0, 123_456, dt.timezone(dt.timedelta(hours=2)))
    assert made(at=local)["createdAt"] == dt.datetime(2025, 1, 1, 0, 0, 0, 123_000)


@pytest.mark.parametrize("user", [None, "", "  ", True, 1.5, {}])
def test_what_cannot_name_a_user_is_refused(user):
    with pytest.raises(UsageError, match=rf"user_id .* \({re.escape(excerpt(user))}\)$"):
        made(user=user)


def test_a_user_is_coerced_as_the_source_says():
    source = config({**TASKS, "user": {"path": "userId", "as": "objectId"}}).sources[0]
    assert made(user=str(oid(3)), source=source)["userId"] == oid(3)
    with pytest.raises(UsageError, match="user_id"):
        made(user="somebody", source=source)


def test_names_in_meta_that_are_taken_are_refused():
    with pytest.raises(UsageError, match=r"meta\.origin"):
        made(meta={"origin": "here"})


def test_points_may_be_left_out_only_where_they_are_constant():
    both = config(TASKS, SESSIONS)
    assert constant_points(both, "task_complete") == 10
    with pytest.raises(UsageError, match="no constant points") as refused:
        constant_points(both, "focus_session")
    assert refused.value.hint == "give points=N, or call record_source"
    two = config(TASKS, {**TASKS, "name": "big", "where": {"big": True}, "points": 20})
    with pytest.raises(UsageError, match="no constant points"):
        constant_points(two, "task_complete")


def test_an_action_or_a_source_that_nobody_configured_is_named_with_those_that_there_are():
    with pytest.raises(UsageError, match=r"task_complet'; there are task_complete, focus_session") as refused:
        source_of(config(TASKS, SESSIONS), "task_complet")
    assert refused.value.hint == "lbmigrate config show"
    with pytest.raises(UsageError, match=r"'task'; there are tasks, sessions") as refused:
        source_named(config(TASKS, SESSIONS), "task")
    assert refused.value.hint == "lbmigrate config show"


def test_of_two_sources_of_one_action_the_first_stands_for_it():
    both = config(TASKS, {**TASKS, "name": "big", "where": {"big": True}})
    assert source_of(both, "task_complete") is both.sources[0]


def test_the_same_id_in_another_form_is_the_same_event():
    key = ObjectId()
    assert made(source_id=str(key))["_id"] == made(source_id=key)["_id"]
