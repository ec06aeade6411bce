"""The alerts and the dashboard go by metrics that there are, and the examples of hooks are programs that run."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "jobs" / "monitoring"
OBSERVERS = ROOT / "lbmigrate" / "observers"
WORDS = {"by", "max", "min", "sum", "time", "le", "or", "histogram_quantile"}


def written() -> set[str]:
    """The names of all metrics that the code writes."""
    names = set()
    for path in OBSERVERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in ("gauge", "Histogram"):
                    names.add("lbmigrate_" + str(node.args[0].value).removeprefix("lbmigrate_"))
    return names


def rules() -> list[dict]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    return json.loads((MONITORING / "dashboard.json").read_text("utf-8"))["panels"]


EXPRESSIONS = [rule["expr"] for rule in rules()] + [each["expr"] for panel in panels() for each in panel["targets"]]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_an_expression_asks_for_metrics_that_are_written_and_is_closed(expression):
    bare = re.sub(r'"[^"]*"', "", expression)
    known = written()
    asked = set(re.findall(r"lbmigrate_\w+", bare))
    assert asked
    assert {name.removesuffix("_bucket") for name in asked} <= known
    for opened, closed in ("()", "{}"):
        assert bare.count(opened) == bare.count(closed)
    rest = re.sub(r"\{[^}]*\}|by \([\w, ]*\)", "", bare)
    assert set(re.findall(r"\b[a-z]\w*", rest)) - asked <= WORDS


def test_every_alert_says_what_it_is_about_and_what_is_next():
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "page")
        assert {"summary", "next"} == rule["annotations"].keys()
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "5m"))


def test_panels_have_ids_of_their_own_and_do_not_cover_each_other():
    assert len({panel["id"] for panel in panels()}) == len(panels())
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()}) == len(panels())


@pytest.mark.parametrize("path", sorted((MONITORING / "hooks").iterdir()), ids=lambda path: path.name)
def test_an_example_of_a_hook_is_called_for_something_and_is_a_sound_program(path):
    from lbmigrate.observers.hooks import NAME

    assert NAME.fullmatch(path.name)
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
    used = set(re.findall(r"\$HOOK_(\w+)", path.read_text("utf-8")))
    assert used <= {"VERB", "DATABASE", "OUTCOME", "SECONDS", "ERROR", "RUN"}
