"""How long a recorder keeps the app waiting, and when it does not even ask. No server, no time that passes."""

from __future__ import annotations

import time

import pymongo
import pytest
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, WTimeoutError

from lbmigrate.errors import LbmigrateError
from lbmigrate.live.patience import TRY_AGAIN, Late, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(clock):
    return Patience(0.5, clock)


def late(patience, error=None):
    with pytest.raises(Late), patience.spent():
        raise error or WTimeoutError("so", 64)


def asks(patience):
    """Whether an action is tried at all; if it is, it goes well."""
    try:
        with patience.spent():
            return True
    except Late:
        return False


@pytest.mark.parametrize(
    "error", [WTimeoutError("so", 64), OperationFailure("so", 50), NetworkTimeout("so"), AutoReconnect("so")]
)
def test_what_the_database_is_too_late_for_is_told_as_such(patience, error):
    error = pymongo.errors.ExecutionTimeout("so", 50) if getattr(error, "code", 0) == 50 else error
    late(patience, error)


def test_after_one_that_was_late_nobody_waits_until_it_is_time_to_try_again(patience, clock):
    late(patience)
    assert not any(asks(patience) for _ in range(100))
    clock.now += TRY_AGAIN
    assert asks(patience)
    assert asks(patience), "all is well again"


def test_one_alone_tries_again_while_the_others_go_on(patience, clock):
    late(patience)
    clock.now += TRY_AGAIN
    with patience.spent():
        assert not asks(patience)


def test_while_it_stays_late_one_action_in_a_while_is_tried(patience, clock):
    late(patience)
    for _ in range(3):
        clock.now += TRY_AGAIN
        late(patience)
        assert not asks(patience)


def test_what_is_wrong_with_one_action_stands_in_the_way_of_no_other(patience):
    for error in (LbmigrateError("no such action"), OperationFailure("so", 13), ValueError("so")):
        with pytest.raises(type(error)), patience.spent():
            raise error
        assert asks(patience)


def test_the_log_has_one_line_in_a_while(patience, clock):
    assert [patience.may_tell() for _ in range(3)] == [True, False, False]
    clock.now += TRY_AGAIN
    assert patience.may_tell()


def test_the_database_has_no_longer_than_the_budget():
    began = time.monotonic()
    with (
        pymongo.MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=30_000) as client,
        pytest.raises(Late),
        Patience(0.05).spent(),
    ):
        client["app"]["tasks"].find_one()
    assert time.monotonic() - began < 5
