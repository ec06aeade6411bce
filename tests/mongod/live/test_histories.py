"""Random histories that nobody but a tail follows: whenever it has caught up, everything is what the documents say."""

from __future__ import annotations

import itertools

import pytest

from lbmigrate.live.flag_cache import Flag
from lbmigrate.live.gaps import ROW
from lbmigrate.live.tail import Tail
from lbmigrate.run.stop import Stop
from tests.apps import oid, task
from tests.histories import OWNERS, History, assert_right, killed, usual

ROUNDS = 6


@pytest.fixture
def app(database):
    return usual(database)


def follower(app):
    clock = itertools.count().__next__
    context = app.context(live=True, stop=Stop(monotonic=clock, sleep=lambda _: None))
    return Tail(context, Flag(app.database, app.config.flag, clock), clock).follow()


def saved(app, piece):
    if piece.checkpoint is not None:
        app.state.note(piece.checkpoint.row, **piece.checkpoint.fields)


def is_seen(app, last):
    """Whether the tail has come to this task, and so past everything before it."""
    return app.database["score_events"].find_one({"sourceId": last}) is not None


def follow(app, last, most=200):
    """Follow from where the last one stopped until this task is recorded, and all that its batch brings."""
    pieces = follower(app)
    for piece in itertools.islice(pieces, most):
        saved(app, piece)
        if is_seen(app, last):
            pieces.close()
            return
    raise AssertionError(f"{most} pieces, and the last task is not seen: {app.state.get(ROW)}")


def live_through(app, seed):
    history = History(app, seed, deletes=True, moves=False)  # who moves is counted again by the next backfill
    saved(app, next(follower(app)))  # from here on
    app.backfill()
    for number in range(ROUNDS):
        history.acts()
        last = task(500 + number, owner=history.rng.choice(OWNERS))
        app.database["tasks"].insert_one(last)
        chance = history.rng.random()
        if chance < 0.5:
            with killed(history.rng):
                follow(app, last["_id"])
        elif chance < 0.7:  # what it did is not known to the next one
            next(itertools.islice(follower(app), history.rng.randrange(4), None))
        follow(app, task_after(app, number))
        assert_right(app, not_back=app.database["leaderboard_entries"].distinct("userId", {"optOutSnapshot": True}))


def task_after(app, number):
    """One more task: whoever was killed may have recorded the last one, and not what came with it."""
    one = task(600 + number, owner=1)
    app.database["tasks"].insert_one(one)
    return one["_id"]


@pytest.mark.parametrize("seed", range(3))
def test_any_history_is_right_as_soon_as_the_tail_has_caught_up(app, seed):
    live_through(app, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 200))
def test_any_of_many_histories_is_right_as_soon_as_the_tail_has_caught_up(app, seed):
    live_through(app, seed)


def test_what_is_deleted_is_kept_where_the_configuration_says_so(app):
    app.config = app.config.model_copy(update={"live": app.config.live.model_copy(update={"deleted": "keep"})})
    saved(app, next(follower(app)))
    before = app.event_ids()
    app.database["tasks"].delete_one({"_id": oid(1001)})
    last = task_after(app, 1)
    follow(app, last)
    assert app.event_ids() == sorted([*before, f"task_complete:{last}"])
