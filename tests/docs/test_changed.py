"""The runbook says of every change of the configuration what the verbs say of it."""

from __future__ import annotations

import re
from pathlib import Path

from lbmigrate.passes.changed import MEANING

RUNBOOK = Path(__file__).parents[2] / "runbooks" / "correct.md"


def test_the_runbook_has_the_table_of_changes_as_the_code_has_it():
    told = RUNBOOK.read_text("utf-8").partition("| changed | what that means |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `?(.+?)`? \| (.+) \|$", told, re.MULTILINE))
    rows.pop("---", None)
    assert rows == MEANING
