"""The table of CONTRIBUTING that says where a rule lives is true: every path is there, and has the name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MOST = {
    "the scoring rule": 2,
    "how a run resumes": 2,
    "where a new verification check goes": 2,
}  # files to open; one for everything else
ROWS = dict(re.findall(r"^\| (?!you look|---)(.+?) \| (`lbmigrate.+?) \|$", TEXT, re.MULTILINE))


def places(row):
    """The files of a row, each with a name that it defines."""
    return re.findall(r"`(lbmigrate/[\w/.]+)` `(\w+)`", ROWS[row])


def defined(path):
    """The names that stand at the top of a module."""
    names = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_the_table_has_a_row_for_everything_that_people_look_for():
    assert len(ROWS) == 13


@pytest.mark.parametrize("row", ROWS)
def test_each_place_is_there_and_few_files_need_be_opened(row):
    found = places(row)
    assert 1 <= len(found) <= MOST.get(row, 1)
    for path, name in found:
        assert name in defined(path), f"{path} has no {name}"


def test_every_step_says_itself_what_a_rollback_takes_away():
    modules = sorted((ROOT / "lbmigrate/migration/steps").glob("s[0-9]_*.py"))
    assert len(modules) == 6
    for module in modules:
        assert {"apply", "revert", "pending", "preview"} <= defined(module.relative_to(ROOT))
