"""Every message of the program with its room: `python -m tests.docs.words` lists them for a review.

A message is a text of at least three words that is no docstring, and the help of a verb; what an f-string fills in
stands as X. A long text is a message wherever it stands: that is why it is found, and not by who says it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from lbmigrate.records import beside

CODE = Path(__file__).parents[2] / "lbmigrate"
WORDS = 3
_word = re.compile(r"[A-Za-z]{2,}")
QUIET = {"testing", "demodata.py"}  # rooms that tell an operator nothing
LISTS = {"board/scripts.py", "detect/words.py", "values/units.py"}  # programs for Redis, and lists of words


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Where each message is (`room/module.py:line`), and the message."""
    return tuple(_messages())


def _messages() -> Iterator[tuple[str, str]]:
    for path in sorted(CODE.rglob("*.py")):
        name = str(path.relative_to(CODE))
        if name not in LISTS and path.relative_to(CODE).parts[0] not in QUIET:
            found = _texts(_tree(path), docstrings=name.startswith("cli/"))
            yield from ((f"{name}:{line}", text) for line, text in found if len(_word.findall(text)) >= WORDS)


COUNTED = (
    "action", "adjustment", "board", "byte", "change", "character", "chunk", "collection", "document", "entry", "event",
    "file", "index", "item", "mismatch", "minute", "operation", "period", "place", "point", "range", "reject", "row",
    "second", "source", "task", "type", "user", "worker",
)  # fmt: skip
NO_COUNTS = {"most", "have", "place"}  # a limit, which is never 1, a verb, and a name


def miscounted() -> Iterator[tuple[str, str]]:
    """Where a number is written beside a noun in the plural, which `amount` would write as `1 user` where it is 1."""
    plural = re.compile(rf" (?:(?:more|new|older|other) )?(?:{'|'.join(beside(2, noun) for noun in COUNTED)})\b(?!/)")
    for path in sorted(CODE.rglob("*.py")):
        if path.relative_to(CODE).parts[0] not in QUIET:
            texts = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.JoinedStr))
            yield from ((f"{path.relative_to(CODE)}:{n.lineno}", each) for n in texts for each in _beside(n, plural))


def _beside(text: ast.JoinedStr, plural: re.Pattern[str]) -> Iterator[str]:
    for number, words in pairwise(text.values):
        if isinstance(number, ast.FormattedValue) and isinstance(words, ast.Constant):
            found, name = plural.match(str(words.value)), ast.unparse(number.value)
            if found and _is_a_count(number, name):
                yield f"{name}{found[0]}"


def _is_a_count(number: ast.FormattedValue, name: str) -> bool:
    """Whether it may be one: a limit has its name in capitals, and a share is a percentage."""
    form = ast.unparse(number.format_spec) if number.format_spec else ""
    return not (name.rpartition(".")[2].isupper() or name in NO_COUNTS or "%" in form)


def _texts(node: ast.AST, docstrings: bool) -> Iterator[tuple[int, str]]:
    """The texts of a tree; an f-string is one, and a docstring only where they are asked for."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.JoinedStr):
            yield inner.lineno, _filled(inner)
        elif isinstance(inner, ast.Constant):
            if isinstance(inner.value, str) and (docstrings or not isinstance(node, ast.Expr)):
                yield inner.lineno, inner.value
        else:
            yield from _texts(inner, docstrings)


def _filled(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


if __name__ == "__main__":
    for place, message in messages():
        print(f"{place}: {' '.join(message.split())}")
