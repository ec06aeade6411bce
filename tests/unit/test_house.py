"""The rules of the house, as tests: imports go down only, one library lives in one room, rooms stay small."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lbmigrate"

# The house from the roof down: a room (a module or package right under lbmigrate), its floor, and what it is for.
# A room may import rooms of lower floors only; rooms that share a floor do not know each other.
ROOMS: dict[str, tuple[int, str]] = {
    "__main__": (12, "`python -m lbmigrate`"),
    "cli": (11, "the door: one file for each verb or noun, options, confirmations, errors as exit codes"),
    "__init__": (10, "the public names, imported when they are asked for"),
    "commands": (10, "the verbs as plain functions, for the command line and for Python"),
    "console": (10, "everything that an operator sees: tables, progress, numbers as words"),
    "observers": (10, "others who listen to a run: hooks, metrics"),
    "migration": (9, "the six steps, applied and reverted: the driver, the plan, the status"),
    "estimate": (9, "what a run will take: a model fitted to measurements, and a look at this database and machine"),
    "explain": (7, "why one user's score is what it is"),
    "report": (7, "a verification as a file for people: what it says, as a page or as Markdown"),
    "live": (7, "now: what an app calls, and what follows the app's changes"),
    "reconcile": (7, "sources that changed: what they are worth now, and the adjustments that follow"),
    "workers": (8, "work in other processes: what they are told, and the ways to them"),
    "verify": (6, "entries, ledger and sources against each other by a second reading, and the verdict"),
    "counter": (6, "the board beside a counter that the app had before"),
    "checks": (6, "what forbids or endangers a run: the server, the rights, the data"),
    "backfill": (6, "the history into the ledger, and from there into entries"),
    "ledger": (5, "the only writers of events and entries"),
    "passes": (5, "one resumable walk over a source"),
    "backup": (5, "backups: making them, what they hold, bringing them back"),
    "rehearsal": (5, "the dry run: what it came to, and how that differs from what was expected"),
    "board": (4, "what the app reads"),
    "run": (4, "one run's surroundings: connection, context, limits, workers, and what makes it wait"),
    "detect": (4, "a database that nobody described: what its collections seem to be, as a configuration"),
    "rules": (4, "from a document to its event, and from events to entries; pure"),
    "feature_flag": (4, "the feature flag's document"),
    "config": (3, "the configuration file: what it may say, how it is read, what is wrong with it"),
    "state": (3, "what outlives a process"),
    "testing": (3, "public: faults and corruptions on purpose"),
    "mongo": (2, "the server: clients, what errors mean, the embedded one, the in-memory stand-in"),
    "values": (2, "BSON values, alone or in columns"),
    "schema": (2, "the leaderboard's collections, indexes and validators"),
    "demodata": (2, "a made-up history"),
    "telling": (1, "what may be said: text of others made harmless, secrets left out"),
    "files": (1, "files and directories that nobody but their owner may read, lock, replace or redirect"),
    "records": (1, "what rooms hand to each other"),
    "errors": (1, "what can go wrong, and the exit code of each"),
}

# Who may import it. pymongo and numpy are at home everywhere.
LIBRARIES: dict[str, set[str]] = {
    "typer": {"cli"},
    "rich": {"console"},
    "tenacity": {"mongo"},
    "numexpr": {"values"},
    "mongomock_ng": {"mongo"},
    "yaml": {"config"},
    "pydantic": {"config"},
    "pandas": {"rules"},
    "psutil": {"mongo", "state"},
    "redis": {"board"},
    "isal": {"backup"},
    "prometheus_client": {"observers"},
    "multiprocessing": {"workers"},
    "distributed": {"workers"},
}

MODULES_BESIDE_THE_PACKAGES = 8
LONG_FILES: set[str] = set()  # paths under lbmigrate that may exceed MOST_LINES; keep this short
MOST_LINES = 250
LONG_FUNCTION = 35

PATHS = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]
FLOOR = {name: floor for name, (floor, _) in ROOMS.items()}
every_module = pytest.mark.parametrize("path", PATHS, ids=str)


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def module(path: Path) -> str:
    return ".".join(("lbmigrate", *path.with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module(path): path for path in PATHS}


@cache
def tree(path: Path) -> ast.Module:
    """The code of a file, parsed when the first test asks: every process of a test run imports this module."""
    return ast.parse((PACKAGE / path).read_text("utf-8"))


def imports(path: Path) -> set[str]:
    """The dotted names of everything that a module imports, wherever in the file it does so."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write relative imports out"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) | ({str(node.module)} if inner - MODULES.keys() else set())
    return names


def ours(path: Path) -> set[str]:
    return imports(path) & MODULES.keys()


def test_every_room_is_listed_with_its_floor_and_its_purpose():
    assert {room(path) for path in PATHS} == ROOMS.keys(), "say in ROOMS in this file what a room is for"
    assert all(purpose for _, purpose in ROOMS.values())


def test_few_modules_stand_beside_the_packages():
    beside = [path for path in PATHS if len(path.parts) == 1]
    assert len(beside) <= MODULES_BESIDE_THE_PACKAGES, "put it into the room that would look for it"


@every_module
def test_imports_go_down_only(path):
    for name in ours(path):
        other = room(MODULES[name])
        allowed = other == room(path) or FLOOR[other] < FLOOR[room(path)]
        assert allowed, f"lbmigrate/{path} imports {name}, which is not on a lower floor (ROOMS in this file)"


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({name: ours(path) - {name} for name, path in MODULES.items()}).prepare()


@every_module
def test_one_library_has_one_room(path):
    for library in {name.split(".")[0] for name in imports(path)} & LIBRARIES.keys():
        assert room(path) in LIBRARIES[library], f"lbmigrate/{path} imports {library}: only {LIBRARIES[library]} may"


@every_module
def test_only_the_state_package_names_the_state_collection(path):
    if room(path) != "state":
        constants = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
        assert not [node.lineno for node in constants if node.value == "lbmigrate_state"]


@every_module
def test_files_are_short(path):
    lines = len((PACKAGE / path).read_text("utf-8").splitlines())
    assert lines <= MOST_LINES or str(path) in LONG_FILES, f"lbmigrate/{path} has {lines} lines: make two rooms of it"


def test_nine_in_ten_functions_are_short():
    functions = [
        (node.end_lineno - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for path in PATHS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
    ]
    long = sorted((each for each in functions if each[0] > LONG_FUNCTION), reverse=True)
    assert len(long) <= len(functions) / 10, long
