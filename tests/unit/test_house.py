"""The rules of the house, as tests: imports go down only, one library lives in one room, rooms stay small."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lbmigrate"

# From the ground up. A room (a module or package right under lbmigrate) may import rooms of lower floors only; rooms
# that share a floor do not know each other. A new module gets its place here.
FLOORS: list[set[str]] = [
    {"errors", "models", "identity", "overlap", "manifest"},
    {"adjust", "fields", "formula", "yamlfile", "schema"},
    {"vocabulary"},
    {"config"},
    {"coerce", "complaints", "flag", "people", "outcome", "wire"},
    {"configfile", "lets"},
    {"scoring", "ranking"},
    {"extjson", "demodata", "mongod"},
    {"embedded", "faults", "watch", "archive"},
    {"mongo"},
    {"fake"},
    {"state"},
    {"brake"},
    {"context"},
    {"readings"},
    {"backup", "restore", "forget"},
    {"chunks", "rollup", "throttle", "sizing"},  # how work is cut, paced and folded
    {"outlines", "recall"},
    {"emit", "passes", "action"},
    {"salvage", "settle", "live", "changes"},
    {"backfill", "tail", "snapshots"},
    {"verify", "board", "doctor", "rehearsal", "reconcile"},
    {"rights"},
    {"checkup"},
    {"steps"},
    {"plan", "descent"},
    {"runner"},
    {"session", "testing"},
    {"console"},
    {"cli"},
    {"__init__"},  # the public names
    {"__main__"},
]

# Who may import it. pymongo and numpy are at home everywhere.
ROOMS: dict[str, set[str]] = {
    "typer": {"cli"},
    "rich": {"console"},
    "tenacity": {"mongo"},
    "numexpr": {"formula"},
    "mongomock_ng": {"fake"},
    "yaml": {"yamlfile", "configfile"},
    "pydantic": {"vocabulary", "config", "configfile"},
    "pandas": {"coerce", "scoring", "ranking"},
    "psutil": {"mongod", "state"},
}

LONG_FILES: set[str] = set()  # paths under lbmigrate that may exceed MOST_LINES; keep this short
MOST_LINES = 250
LONG_FUNCTION = 35

TREES = {path.relative_to(PACKAGE): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
every_module = pytest.mark.parametrize("path", TREES, ids=str)


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def module(path: Path) -> str:
    return ".".join(("lbmigrate", *path.with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module(path): path for path in TREES}


def imports(path: Path) -> set[str]:
    """The dotted names of everything that a module imports, wherever in the file it does so."""
    names: set[str] = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write relative imports out"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) | ({str(node.module)} if inner - MODULES.keys() else set())
    return names


def ours(path: Path) -> set[str]:
    return imports(path) & MODULES.keys()


def test_every_room_has_a_floor():
    homeless = {room(path) for path in TREES} - FLOOR.keys()
    assert not homeless, f"add {sorted(homeless)} to FLOORS in tests/unit/test_house.py"


@every_module
def test_imports_go_down_only(path):
    for name in ours(path):
        other = room(MODULES[name])
        allowed = other == room(path) or FLOOR.get(other, -1) < FLOOR.get(room(path), len(FLOORS))
        assert allowed, f"lbmigrate/{path} imports {name}, which is not on a lower floor (FLOORS in this file)"


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({name: ours(path) - {name} for name, path in MODULES.items()}).prepare()


@every_module
def test_one_library_has_one_room(path):
    for library in {name.split(".")[0] for name in imports(path)} & ROOMS.keys():
        assert room(path) in ROOMS[library], f"lbmigrate/{path} imports {library}: only {ROOMS[library]} may"


@every_module
def test_only_the_state_package_names_the_state_collection(path):
    if room(path) != "state":
        constants = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Constant)]
        assert not [node.lineno for node in constants if node.value == "lbmigrate_state"]


@every_module
def test_files_are_short(path):
    lines = len((PACKAGE / path).read_text("utf-8").splitlines())
    assert lines <= MOST_LINES or str(path) in LONG_FILES, f"lbmigrate/{path} has {lines} lines: make two rooms of it"


def test_nine_in_ten_functions_are_short():
    functions = [
        (node.end_lineno - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]
    long = sorted((each for each in functions if each[0] > LONG_FUNCTION), reverse=True)
    assert len(long) <= len(functions) / 10, long
