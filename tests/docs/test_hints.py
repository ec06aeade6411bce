"""Each hint ends its situation: a table names the test that types what it says, or the reason why there is none.

`hints.yaml` has a row (`room/module.py function`) for each function that names what to do next: an error with a hint, a
finding with a fix, a way out of a state that came apart, or a text with `next: `. A function with several of them has
a list, in the order of its lines. An entry is the test that walks the whole way, or a sentence that says what an
operator does where no command of ours can end the situation.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer
import yaml

from lbmigrate.cli.app import app

ROOT = Path(__file__).parents[2]
CODE = ROOT / "lbmigrate"
TABLE: dict[str, str | list[str]] = yaml.safe_load((Path(__file__).parent / "hints.yaml").read_text("utf-8"))
PLACES = {"Finding": 3, "Apart": 2}  # classes of ours, and the place of what to do among their arguments
TO_A_SERVER = {"aggregate"}  # whose hint names an index


@cache
def trees() -> dict[Path, ast.Module]:
    """The code, read when the first test asks: every process of a run imports this module."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(CODE.rglob("*.py"))}


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a file, from the outside inwards. To walk a tree takes long, and each rule needs it."""
    return tuple(ast.walk(trees()[path]))


def name_of(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


@cache
def classes() -> dict[tuple[Path, str], set[str]]:
    """The classes of every file, each with the names of those that it is made of."""
    found = ((path, node) for path in trees() for node in nodes(path))
    return {(p, node.name): {name_of(b) for b in node.bases} for p, node in found if isinstance(node, ast.ClassDef)}


@cache
def with_hint() -> dict[str, int]:
    """Classes that are handed a hint, and the place of it among their arguments."""
    return {**dict.fromkeys(errors(), 1), **PLACES, "kind": 1}  # `kind` is the error of a table


@cache
def errors() -> set[str]:
    """The names of all classes of errors that have a hint."""
    bases: dict[str, set[str]] = defaultdict(set)
    for (_, name), above in classes().items():
        bases[name] |= above
    found = {"LbmigrateError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


@cache
def helpers() -> dict[tuple[str, str], int]:
    """Functions that are handed a hint, by where they may be called from, and the place of it among their arguments.

    One whose name begins with `_` is for its own file.
    """
    found = {}
    for path in trees():
        for node in (node for node in nodes(path) if isinstance(node, ast.FunctionDef)):
            names = [each.arg for each in node.args.args if each.arg != "self"]
            if "hint" in names and not node.name.startswith("__"):
                found[str(path) if node.name.startswith("_") else "", node.name] = names.index("hint")
    return found


@cache
def plain() -> dict[Path, set[str]]:
    """The classes of each file that are made of no other one."""
    found: dict[Path, set[str]] = defaultdict(set)
    for (path, name), above in classes().items():
        if not above:
            found[path].add(name)
    return found


@cache
def namesakes(path: Path) -> set[str]:
    """Names of errors by which a file imports, or has, a class that is none."""
    found = {path: plain().get(path, set())}
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            found[ROOT / f"{node.module.replace('.', '/')}.py"] = {each.name for each in node.names}
    return {name for file, names in found.items() for name in names & errors() & plain().get(file, set())}


def has_hint(path: Path, node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = name_of(node.func) if name_of(node.func) not in namesakes(path) else ""
        place = with_hint().get(name, helpers().get((str(path), name), helpers().get(("", name))))
        starred = any(isinstance(each, ast.Starred) for each in node.args)
        named = {word.arg for word in node.keywords} & {"hint", "fix"}
        told = bool(named) and name not in TO_A_SERVER
        return told or (place is not None and (starred or len(node.args) > place))
    return isinstance(node, ast.JoinedStr) and any(
        isinstance(part, ast.Constant) and is_told(part) for part in node.values
    )


def is_told(text: ast.Constant) -> bool:
    """Whether a text says what is next; `next: ` alone stands before what another function names."""
    return isinstance(text.value, str) and "next: " in text.value and text.value != "next: "


def texts_within(path: Path) -> set[ast.AST]:
    """The pieces of f-strings, and docstrings: no texts of their own."""
    inner = {part for node in nodes(path) if isinstance(node, ast.JoinedStr) for part in node.values}
    bodies = [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)]
    return inner | {node.body[0].value for node in bodies if isinstance(node.body[0], ast.Expr)}


def with_hints(path: Path) -> Iterator[str]:
    """The function of each hint of a file; `module` stands for what is outside of them."""
    functions = [node for node in nodes(path) if isinstance(node, ast.FunctionDef)]
    no_text = texts_within(path)
    for node in nodes(path):
        if (is_told(node) and node not in no_text) if isinstance(node, ast.Constant) else has_hint(path, node):
            around = [each for each in functions if each.lineno <= node.lineno <= (each.end_lineno or 0)]
            yield around[-1].name if around else "module"  # the innermost


def places() -> Counter[str]:
    return Counter(f"{path.relative_to(CODE)} {name}" for path in trees() for name in with_hints(path))


def entries(row: str | list[str]) -> list[str]:
    return [row] if isinstance(row, str) else row


@cache
def cases_of(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_hint_has_an_entry_and_every_entry_a_hint():
    assert {place: len(entries(row)) for place, row in TABLE.items()} == dict(places())


def test_an_entry_names_a_test_that_runs_or_gives_a_reason():
    for place, entry in ((place, entry) for place, row in TABLE.items() for entry in entries(row)):
        file, names_a_test, name = entry.partition("::")
        if not names_a_test:
            assert len(entry.split()) >= 6, f"{place}: a reason is a sentence that says what to do"
            continue
        assert name in cases_of(file), f"{file} has no {name}"
        marks = " ".join(map(ast.unparse, cases_of(file)[name].decorator_list))
        assert not re.search("skip|xfail", marks), f"{name} does not run"


def test_a_reason_is_the_exception():
    reasons = [entry for row in TABLE.values() for entry in entries(row) if "::" not in entry]
    assert len(reasons) < 0.25 * sum(len(entries(row)) for row in TABLE.values())


# --- commands named anywhere in the code ---------------------------------------------------------------------------


def verbs(group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """Every verb with its options: {("flag", "show"): {"--uri", …}}; `backup` alone is `backup make`."""
    found = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            found |= {(*path, name): {"--help"}} | verbs(command, (*path, name))
        else:
            found[*path, name] = {"--help"} | {
                each for param in command.params for each in (*param.opts, *param.secondary_opts)
            }
    return found


@cache
def known() -> dict[tuple[str, ...], set[str]]:
    found = verbs(typer.main.get_command(app))
    found["backup",] |= found["backup", "make"]
    found["rejects",] |= found["rejects", "groups"]
    return found


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text of a file with its line; what an f-string fills in stands as X."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.lineno, node.value


def unknown(text: str) -> Iterator[str]:
    """The commands of ours in a text that no command line takes: `lbmigrate` and a verb, followed by its options."""
    for found in re.finditer(r"\blbmigrate ([a-z]+)(?: ([a-z]+))?((?: +(?!lbmigrate)[^\s;]+)*)", text):
        first, second, rest = found[1], found[2] or "", found[3]
        verb = next((each for each in ((first, second), (first,)) if each in known()), None)
        options = re.findall(r"(?<=\s)--?[a-z][\w-]*", rest)
        if verb is None or not set(options) <= known()[verb]:
            yield found[0]


# What the program does, in a sentence.
PROSE = {
    "changes",
    "did",
    "does",
    "has",
    "import",
    "itself",
    "leaves",
    "makes",
    "reads",
    "then",
    "waits",
    "where",
    "writes",
}


def test_every_command_that_a_text_names_is_one_of_ours():
    read = ((path, line, text) for path, tree in trees().items() for line, text in texts(tree))
    told = ((path, line, each) for path, line, text in read for each in unknown(text))
    assert [each for each in told if each[2].split()[1] not in PROSE] == []
