"""A new step is one module and one line in STEPS: everything that deals with steps knows it then."""

from __future__ import annotations

import types

import pytest

from lbmigrate import commands
from lbmigrate.console import Console
from lbmigrate.errors import UsageError
from lbmigrate.migration import steps as migration
from lbmigrate.records import Piece
from lbmigrate.run.connection import Connection
from tests.apps import App, config, task, user


def seventh():
    """What the new module would hold."""
    step = types.SimpleNamespace(NUMBER=7, NAME="celebrate")

    def apply(context):
        context.target["party"].insert_one({"_id": "cake"})
        yield Piece("party", note="there is cake")

    def revert(context):
        context.target["party"].drop()
        yield Piece("party", note="the cake is gone")

    def pending(context, sources):
        return iter(() if context.target["party"].find_one() else ("bake a cake",))

    def preview(context):
        return iter(("eat the cake",) if context.target["party"].find_one() else ())

    step.apply, step.revert, step.pending, step.preview = apply, revert, pending, preview
    step.__hash__ = None
    return step


class Step(types.SimpleNamespace):
    """A namespace that can be looked up, as a module can."""

    __hash__ = object.__hash__


@pytest.fixture
def where(database, monkeypatch):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    step = Step(**{name: value for name, value in vars(seventh()).items() if not name.startswith("__")})
    monkeypatch.setattr(migration, "STEPS", (*migration.STEPS, step))
    app = App(database, config())
    return Connection(database.client, app.config, database, database, app.state)


def steps(found):
    return {step.number: (step.name, str(step.status)) for step in found.steps}


def test_it_is_planned_applied_shown_and_taken_back(where, capsys):
    assert commands.plan(where).steps[6].todo == ("bake a cake",)
    commands.run(where, no_backup=True)
    assert where.target["party"].count_documents({}) == 1
    assert steps(commands.status(where))[7] == ("celebrate", "applied")
    assert commands.plan(where).steps[6].todo == ()
    Console().plan(commands.plan(where))
    assert "7 celebrate" in capsys.readouterr().out
    assert commands.preview_rollback(where, to=6)[0].lines == ("eat the cake",)
    commands.rollback(where, to=6)
    assert "party" not in where.target.list_collection_names()
    assert steps(commands.status(where))[7] == ("celebrate", "reverted")
    assert steps(commands.status(where))[6] == ("cut-over", "applied")


def test_its_number_can_be_asked_for_and_no_higher_one(where):
    commands.run(where, to=6, no_backup=True)
    commands.run(where, only=7)
    assert where.target["party"].count_documents({}) == 1
    with pytest.raises(UsageError, match="there is no step 8; steps are 1 to 7"):
        commands.run(where, only=8)
    with pytest.raises(UsageError, match="ends at 0 to 6"):
        commands.rollback(where, to=7)
