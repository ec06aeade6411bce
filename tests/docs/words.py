"""Every message of the program with its room: `python -m tests.docs.words` lists them for a review.

A message is a text of at least three words that is no docstring, and the help of a verb; what an f-string fills in
stands as X. A long text is a message wherever it stands: that is why it is found, and not by who says it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CODE = Path(__file__).parents[2] / "lbmigrate"
WORDS = 3
_word = re.compile(r"[A-Za-z]{2,}")
QUIET = {"testing", "demodata.py"}  # rooms that tell an operator nothing
LISTS = {"board/scripts.py", "detect/words.py", "values/units.py"}  # programs for Redis, and lists of words


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Where each message is (`room/module.py:line`), and the message."""
    return tuple(_messages())


def _messages() -> Iterator[tuple[str, str]]:
    for path in sorted(CODE.rglob("*.py")):
        name = str(path.relative_to(CODE))
        if name not in LISTS and path.relative_to(CODE).parts[0] not in QUIET:
            found = _texts(ast.parse(path.read_text("utf-8")), docstrings=name.startswith("cli/"))
            yield from ((f"{name}:{line}", text) for line, text in found if len(_word.findall(text)) >= WORDS)


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
