"""The state and what it describes come apart: every verb notices, and the command that is named settles it."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate import commands, feature_flag
from lbmigrate.errors import LbmigrateError, Mismatch, Refused
from lbmigrate.ledger import binding, forget
from lbmigrate.ledger.binding import Loss
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS, s1_create_collections, s4_backfill
from lbmigrate.mongo import fake
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import VerifyOptions
from lbmigrate.state import State
from tests.apps import TASKS, config, oid, picture, stopped_after, task, user

pytestmark = pytest.mark.sampled

EVENTS, ENTRIES, META = "score_events", "leaderboard_entries", "meta"
SOURCES = ("users", "tasks")
EVERYONE = VerifyOptions(full=True)


def connected(client, name="app", home=None):
    """A connection to an app whose state is in its own database, or in `home`."""
    where = {"database": home} if home else {}
    chosen = config(TASKS, database={"name": name}, state=where)
    return Connection(client, chosen, client[name], client[name], State(client[home or name]))


def fill(connection):
    connection.target["users"].insert_many([user(number) for number in (1, 2, 3)])
    connection.target["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    connection.target["tasks"].create_index("updatedAt")  # so that a later pass reads what is new, and nothing else


@contextmanager
def migrated(home=None):
    with fake.client() as client:
        connection = connected(client, home=home)
        fill(connection)
        commands.run(connection, no_backup=True)
        yield connection


@pytest.fixture
def app():
    """A connection to an app that is migrated, its board on, its state in a database of its own."""
    with migrated(META) as connection:
        yield connection


def board(connection):
    """What the app shows, and what it is computed from."""
    shown = picture(connection.target, times=False)
    return {name: shown[name]["documents"] for name in (EVENTS, ENTRIES)}


def apart(connection):
    return binding.apart(connection.context())


def type_(connection, hint):
    """Type the commands that a hint names, one after the other."""
    for command in re.split(r", then: ", hint):
        _, verb, *options = shlex.split(command)
        given = {"to": int(options[options.index("--to") + 1])} if "--to" in options else {}
        given |= {"no_backup": True} if verb == "run" else {"options": EVERYONE} if verb == "verify" else {}
        getattr(commands, verb)(connection, **given)


def settle(connection):
    """Do what is said until nothing is; what was typed."""
    typed = []
    while found := apart(connection):
        assert len(typed) < 3, typed
        typed.append(found.way)
        type_(connection, found.way)
    return typed


# --- ways to lose something ----------------------------------------------------------------------------------------


def drop(*names):
    def lose(connection):
        for name in names:
            connection.target.drop_collection(name)

    return lose


def empty(name, **which):
    return lambda connection: connection.target[name].delete_many(which)


def make_again(name):
    """Renamed, and in its place another one with the same documents."""

    def lose(connection):
        documents = list(connection.target[name].find())
        connection.target[name].rename(f"old_{name}")
        connection.target[name].insert_many(documents)

    return lose


def lose_the_state(connection):
    connection.state.rows.drop()


def drop_the_app(connection):
    """All of the app's database is dropped, and what is the app's own comes back."""
    kept = {name: list(connection.target[name].find()) for name in SOURCES}
    connection.client.drop_database(connection.target.name)
    for name, documents in kept.items():
        connection.target[name].insert_many(documents)
    connection.target["tasks"].create_index("updatedAt")


def restore_a_dump(connection, left_out=()):
    """A dump of the app's database is taken, and comes back in the place of all that is there."""
    kept = {name: list(connection.target[name].find()) for name in connection.target.list_collection_names()}
    connection.client.drop_database(connection.target.name)
    for name, documents in kept.items():
        if there := [document for document in documents if document["_id"] not in left_out]:
            connection.target[name].insert_many(there)
    connection.target["tasks"].create_index("updatedAt")


def restore_an_older_dump(connection):
    """The last third of the ledger was not written yet."""
    late = [f"task_complete:{oid(1000 + number)}" for number in range(8, 12)]
    restore_a_dump(connection, late)


LOSSES = {
    "both were dropped": (drop(EVENTS, ENTRIES), Loss.EVENTS),
    "the ledger was dropped": (drop(EVENTS), Loss.EVENTS),
    "the ledger was emptied": (empty(EVENTS), Loss.EVENTS),
    "events of a user were deleted": (empty(EVENTS, userId=oid(1)), Loss.EVENTS),
    "the ledger was renamed and made again": (make_again(EVENTS), Loss.EVENTS),
    "the entries were dropped": (drop(ENTRIES), Loss.ENTRIES),
    "the entries were renamed and made again": (make_again(ENTRIES), Loss.ENTRIES),
    "the entries were emptied": (empty(ENTRIES), Loss.SOME_ENTRIES),
    "entries of a user were deleted": (empty(ENTRIES, userId=oid(1)), Loss.SOME_ENTRIES),
    "the state was dropped": (lose_the_state, Loss.STATE),
    "a dump was restored": (restore_a_dump, Loss.EVENTS),
    "an older dump was restored": (restore_an_older_dump, Loss.EVENTS),
}
every_loss = pytest.mark.parametrize(("lose", "loss"), LOSSES.values(), ids=LOSSES)
SOME = ("both were dropped", "events of a user were deleted", "the entries were dropped", "the entries were emptied")
some_losses = pytest.mark.parametrize(("lose", "loss"), [LOSSES[name] for name in SOME], ids=SOME)


@every_loss
def test_what_was_lost_is_noticed_and_the_command_that_is_named_brings_it_all_back(app, lose, loss):
    before = board(app)
    assert apart(app) is None
    lose(app)
    assert apart(app).loss is loss
    assert len(settle(app)) == 1
    assert board(app) == before
    assert not commands.plan(app).pending
    assert commands.verify(app, options=EVERYONE)["passed"]


@pytest.mark.parametrize("name", ["both were dropped", "the state was dropped", "an older dump was restored"])
def test_so_it_is_where_the_state_is_in_the_database_of_the_app(name):
    with migrated() as app:
        before = board(app)
        LOSSES[name][0](app)
        assert settle(app) == ["lbmigrate run"]
        assert board(app) == before


@every_loss
def test_no_verb_goes_on_in_silence(app, lose, loss):
    lose(app)
    found = apart(app)
    assert commands.come_apart(app) == commands.status(app).apart == found
    for look in (commands.plan(app).findings, commands.doctor(app)):
        assert [(each.fact, each.fix) for each in look if each.subject == "state"] == [(found.sentence, found.way)]
    assert commands.plan(app).pending
    with pytest.raises(Mismatch, match=re.escape(found.sentence)) as differing:
        commands.verify(app)
    assert differing.value.hint == found.way
    refused = [commands.reconcile, commands.preview_reconcile, partial(commands.turn_flag, side="read", on=True)]
    if loss is not Loss.SOME_ENTRIES:
        refused += [commands.backfill]
    for verb in refused:
        with pytest.raises(Refused, match=re.escape(found.sentence)) as no:
            verb(app)
        assert no.value.hint == found.way
        assert apart(app) == found


@some_losses
def test_looking_at_what_came_apart_writes_nothing(app, lose, loss):
    lose(app)
    before = picture(app.target), list(app.state.rows.find())
    commands.plan(app), commands.doctor(app), commands.status(app), commands.come_apart(app)
    commands.preview_rollback(app), commands.history(app)
    assert (picture(app.target), list(app.state.rows.find())) == before


@some_losses
def test_a_plan_tells_what_the_run_then_does(app, lose, loss):
    lose(app)
    todo = {step.number: step.todo for step in commands.plan(app).steps}
    again = "again" if loss in (Loss.ENTRIES, Loss.SOME_ENTRIES) else "backfill 12 documents"
    assert any(again in line or "start over" in line for line in (*todo[1], *todo[4]))
    assert todo[5]


@some_losses
def test_an_old_verdict_is_not_valid_any_more(app, lose, loss):
    old = app.state.get("verdict")
    commands.turn_flag(app, "read", False)
    lose(app)
    with pytest.raises(Refused):
        commands.turn_flag(app, "read", True)
    type_(app, apart(app).way.partition(", then: ")[0])
    assert not feature_flag.read(app.target, app.config).read or loss in (Loss.EVENTS, Loss.STATE)
    assert app.state.get("verdict").get("at") != old["at"]


@some_losses
def test_a_settling_that_was_killed_is_settled_by_the_next(app, lose, loss):
    before = board(app)
    lose(app)
    step = s4_backfill if loss is Loss.SOME_ENTRIES else s1_create_collections
    made = 99
    for number in range(1, 12):
        if made < number - 1:
            break
        made = stopped_after(step, app.context(), number, saved=number % 2 == 0)
    settle(app)
    commands.run(app, no_backup=True, confirmed=True)
    assert board(app) == before
    assert commands.verify(app, options=EVERYONE)["passed"]


@some_losses
def test_a_rollback_takes_back_what_is_there_and_a_run_begins_again(app, lose, loss):
    before = board(app)
    lose(app)
    commands.rollback(app)
    assert apart(app) is None
    assert app.target[EVENTS].find_one() is app.target[ENTRIES].find_one() is None
    commands.run(app, no_backup=True)
    assert apart(app) is None
    assert board(app) == before


def test_a_dropped_database_is_started_over_and_its_flag_too():
    with migrated(META) as app:
        before = board(app)
        drop_the_app(app)
        assert [step.todo for step in commands.plan(app).steps][2] == ("turn write on in feature_flags",)
        assert settle(app) == ["lbmigrate run"]
        assert board(app) == before
        assert feature_flag.read(app.target, app.config) == feature_flag.Switches(write=True, read=True)


def test_with_the_state_in_it_a_dropped_database_was_never_touched():
    with migrated() as app:
        drop_the_app(app)
        assert apart(app) is None
        assert app.is_untouched()


# --- what is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lose", [drop(EVENTS, ENTRIES), empty(EVENTS)], ids=["dropped", "emptied"])
def test_whoever_was_forgotten_stays_away(app, lose):
    commands.forget(app, str(oid(1)))
    assert apart(app) is None
    before = board(app)
    lose(app)
    settle(app)
    assert {entry["userId"] for entry in app.target[ENTRIES].find()} == {oid(2), oid(3)}
    assert board(app)[ENTRIES] == before[ENTRIES]


def test_where_the_state_is_lost_it_is_told_that_nobody_knows_who_was_forgotten(app):
    commands.forget(app, str(oid(1)))
    lose_the_state(app)
    assert "forgotten again" in apart(app).sentence


@some_losses
@pytest.mark.parametrize("side", ["write", "read"])
def test_what_a_person_turned_off_stays_off_and_the_named_command_ends_it_all_the_same(app, lose, loss, side):
    commands.turn_flag(app, side, False)
    before = board(app)
    lose(app)
    settle(app)
    assert board(app) == before
    assert not getattr(feature_flag.read(app.target, app.config), side)
    with pytest.raises(Refused, match=f"{side} was turned off"):
        commands.run(app)


def test_the_record_of_runs_and_backups_is_kept(app):
    runs, backup = len(commands.history(app)), app.state.get("backup")
    drop(EVENTS)(app)
    settle(app)
    assert len(commands.history(app)) > runs
    assert app.state.get("backup") == backup


def test_rules_by_which_events_were_scored_that_are_still_there_are_kept(app):
    rules = app.state.get("watermark::rules")
    empty(EVENTS, userId=oid(1))(app)
    settle(app)
    assert app.state.get("watermark::rules")["since"] == rules["since"]


def test_entries_of_somebody_who_has_no_events_any_more_go(app):
    app.target["tasks"].delete_many({"userId": oid(1)})
    drop(EVENTS)(app)
    settle(app)
    assert {entry["userId"] for entry in app.target[ENTRIES].find()} == {oid(2), oid(3)}
    assert commands.verify(app, options=EVERYONE)["passed"]


def test_a_board_that_is_shown_without_entries_is_called_so(app):
    drop(ENTRIES)(app)
    assert apart(app).sentence.endswith("read is on, so the app shows an empty board")
    commands.turn_flag(app, "read", False)
    assert "read is on" not in apart(app).sentence


# --- nothing has come apart ----------------------------------------------------------------------------------------


def test_events_that_the_app_adds_are_no_loss(app):
    app.target["tasks"].insert_one(task(50))
    commands.backfill(app)
    assert apart(app) is None
    assert app.state.get(binding.ROW)["counts"][EVENTS] == 13


def test_a_rollback_and_a_run_leave_nothing_to_complain_about(app):
    for to in (5, 3, 1, 0):
        commands.rollback(app, to=to)
        assert apart(app) is None
        commands.run(app, no_backup=True, confirmed=True)
        assert apart(app) is None
        assert not commands.plan(app).pending


@pytest.mark.parametrize("number", range(1, 6))
def test_a_rollback_that_was_killed_is_no_loss(app, number):
    stopped_after(s4_backfill, app.context(), number, saved=True, direction="revert")
    assert apart(app) is None
    Driver(app.context()).revert(STEPS)
    assert apart(app) is None


def test_forgetting_that_was_killed_is_no_loss(app):
    for piece in forget.pieces(app.context(), str(oid(1))):
        assert apart(app) is None
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)


def test_forgetting_does_not_hide_that_events_are_missing(app):
    empty(EVENTS, userId=oid(1))(app)
    found = apart(app)
    commands.forget(app, str(oid(2)))
    assert apart(app).loss is found.loss is Loss.EVENTS


def test_a_state_of_an_earlier_version_is_bound_by_the_next_run(app):
    app.state.rows.delete_one({"_id": binding.ROW})
    assert apart(app) is None
    commands.backfill(app)
    assert app.state.get(binding.ROW)["counts"][EVENTS] == 12


@pytest.mark.parametrize("lose", [drop(EVENTS), empty(EVENTS), drop(ENTRIES), empty(ENTRIES)])
def test_what_a_state_of_an_earlier_version_tells_of_must_be_there(app, lose):
    before = board(app)
    app.state.rows.delete_one({"_id": binding.ROW})
    lose(app)
    assert apart(app)
    assert len(settle(app)) == 1
    assert board(app) == before


def test_a_figure_that_the_server_gives_too_low_is_counted_before_anything_is_said(app, monkeypatch):
    collection = type(app.target[EVENTS])
    monkeypatch.setattr(collection, "estimated_document_count", lambda _, **how: 1)
    assert apart(app) is None
    commands.backfill(app)
    assert apart(app) is None


def test_a_second_run_with_nothing_new_binds_nothing_again(app):
    before = app.state.get(binding.ROW)
    commands.run(app)
    assert {**app.state.get(binding.ROW), "fence": 0} == {**before, "fence": 0}


# --- another database ----------------------------------------------------------------------------------------------


def test_a_state_that_describes_another_database_is_left_alone_by_every_verb():
    with migrated(META) as app:
        state = list(app.state.rows.find())
        other = connected(app.client, "other", META)
        fill(other)
        verbs = [
            partial(commands.run, no_backup=True), commands.backfill, commands.verify, commands.reconcile,
            commands.rollback, partial(commands.forget, user=str(oid(1))), commands.pause, commands.resume,
            partial(commands.turn_flag, side="write", on=True), partial(commands.turn_flag, side="write", on=False),
        ]  # fmt: skip
        for verb in verbs:
            with pytest.raises(LbmigrateError, match="describes the leaderboard of database app") as refused:
                verb(other)
            assert refused.value.exit_code == Refused.exit_code
            assert "state.database" in refused.value.hint
        assert list(app.state.rows.find()) == state
        assert other.target[EVENTS].find_one() is None
        own = connected(app.client, "other", "other_meta")
        commands.run(own, no_backup=True)
        assert apart(own) is None
        assert board(own) == board(app)


def test_a_copy_of_a_database_with_the_state_in_it_starts_over():
    with migrated() as app:
        for name in app.target.list_collection_names():
            app.client["copy"][name].insert_many(list(app.target[name].find()) or [{"_id": "none"}])
        app.client["copy"]["lbmigrate_rejects"].drop()
        copy = connected(app.client, "copy")
        assert settle(copy) == ["lbmigrate run"]
        assert board(copy) == board(app)
        assert copy.state.get(binding.ROW)["database"] == "copy"


# --- whatever happens ----------------------------------------------------------------------------------------------


@settings(max_examples=6)
@given(st.lists(st.sampled_from([*LOSSES]), min_size=2, max_size=4))
def test_whatever_is_lost_what_is_said_brings_it_back(names):
    with migrated(META) as app:
        before = board(app)
        for name in names:
            if all(each in app.target.list_collection_names() for each in (EVENTS, ENTRIES)):
                LOSSES[name][0](app)
        settle(app)
        type_(app, "lbmigrate run")
        assert board(app) == before
        assert commands.verify(app, options=EVERYONE)["passed"]
        assert not commands.plan(app).pending
