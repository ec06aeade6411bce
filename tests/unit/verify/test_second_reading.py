"""A verification shares no code with what it verifies: neither by its imports, nor when it runs."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import FunctionType

import pytest

from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import PERIODS
from tests.apps import SESSIONS, TASKS, USERS, App, config, session, task, user

ROOT = Path(__file__).parents[3]
WRITERS = ("backfill", "ledger", "live", "reconcile", "rules")  # rooms
ALLOWED = {  # what a verification takes from them all the same, and why that makes nothing right that is wrong
    "ledger.leavers": "who has left: a list in the state",
    "ledger.newcomers": "which events came in since the last backfill: read, and not added up",
    "ledger.odd": "what is told in a warning",
    "ledger.strays": "which events about nothing have been taken back",
    "ledger.unknown_leavers": "what is told in a warning",
    "ledger.user_ids": "of which type the ids of users are in the ledger",
    "rules.points_function": "the operator's own function, which is the rule itself",
    "rules.strays": "how what takes a stray back is named",
}
SCORING = (  # what makes events of documents, entries of events, and periods of times
    "ledger.emit", "ledger.enter", "ledger.entries", "ledger.events", "ledger.rollup",
    "rules.clocks", "rules.local_days", "rules.numbered", "rules.periods", "rules.ranking", "rules.scoring",
    "rules.unwind", "rules.variables", "values.arithmetic", "values.coerce", "values.columns",
    "values.units", "values.zones",
)  # fmt: skip


def imports(path: Path) -> set[str]:
    """The modules of the toolkit that a file names, without the toolkit's own name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lbmigrate"):
            for each in node.names:
                inner = ROOT / node.module.replace(".", "/") / f"{each.name}.py"
                found.add(f"{node.module}.{each.name}" if inner.is_file() else node.module)
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.startswith("lbmigrate")}
    return {name.removeprefix("lbmigrate.") for name in found}


def test_a_verification_imports_nothing_that_scores_rolls_up_or_names_periods():
    named = {name for path in (ROOT / "lbmigrate/verify").glob("*.py") for name in imports(path)}
    assert named & set(SCORING) == set()
    assert {name for name in named if name.partition(".")[0] in WRITERS} == set(ALLOWED)


def broken(*_, **__):
    raise AssertionError("a verification has called what it verifies")


def break_all_that_scores(monkeypatch):
    """Every function of those modules, under every name by which another module has it."""
    modules = [importlib.import_module(f"lbmigrate.{name}") for name in SCORING]
    functions = {
        id(each)
        for module in modules
        for each in vars(module).values()
        if isinstance(each, FunctionType) and each.__module__ == module.__name__
    }
    assert len(functions) > len(modules)
    for module in [each for name, each in sys.modules.items() if name.startswith("lbmigrate")]:
        for name, each in list(vars(module).items()):
            if id(each) in functions:
                monkeypatch.setattr(module, name, broken)


@pytest.mark.parametrize("zone", [None, "tz"], ids=["one zone", "zones of users"])
@pytest.mark.parametrize("full", [False, True], ids=["sample", "full"])
def test_a_verification_goes_through_though_all_that_scores_is_broken(monkeypatch, full, zone):
    with fake.client() as client:
        zones = {1: "Asia/Kathmandu", 2: "-03:30", 3: None}
        client["app"]["users"].insert_many([user(number, tz=each) for number, each in zones.items()])
        client["app"]["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
        client["app"]["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
        parts = {"periods": list(PERIODS), "users": {**USERS, "timezone": zone}, "day_starts": "04:00"}
        app = App(client["app"], config(TASKS, SESSIONS, **parts))
        app.apply(STEPS[:4])
        break_all_that_scores(monkeypatch)
        with pytest.raises(AssertionError, match="has called"):
            app.backfill()
        app.apply(STEPS[4:5], verify=VerifyOptions(full=full))
        assert app.state.get("verdict")["passed"]
        assert app.state.get("verdict")["entries"] > 20
