"""The benchmark on few documents. What it says about time is left alone: only that everybody does the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = 2_000
WHOLE_RUNS = ("floor", "ours", "merge", "upserts", "loop")

pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a small run printed, and what it wrote."""
    path = tmp_path_factory.mktemp("bench") / "results.json"
    done = bench("--docs", str(DOCS), "--rounds", "1", "--json", str(path))
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text())


@pytest.mark.parametrize("name", WHOLE_RUNS)
def test_every_contestant_ends_with_the_same_events_and_entries(finished, name):
    _, results = finished
    found = results["outcomes"][name]
    assert found == results["outcomes"]["ours"]
    assert found["events"] == results["qualifying"] > DOCS / 2
    assert found["entries"] > 0


def test_a_rerun_emits_nothing_and_an_incremental_run_just_what_changed(finished):
    (figures,) = finished[1]["rounds"]
    assert figures["ours"]["emitted"] == finished[1]["qualifying"]
    assert figures["re-run"]["emitted"] == 0
    assert figures["incremental"]["emitted"] == 1_000 // 2 + min(1_000 // 2, DOCS - finished[1]["qualifying"])


def test_every_contestant_and_every_target_has_a_line(finished):
    table, results = finished
    assert len(results["medians"]) == 7
    for target in results["targets"]:
        assert target["verdict"] in ("met", "missed")
        assert target["what"] in table


def test_processor_time_is_told_for_each_task(finished):
    table, results = finished
    line = next(line for line in table.splitlines() if line.startswith("ours"))
    cpu = [results["medians"]["ours"][side] / DOCS * 1e6 for side in ("client_cpu", "server_cpu")]
    assert [f"{micros:.1f}" for micros in cpu] == line.split()[6:8]


def test_memory_is_measured_at_half_and_at_five_times_as_many_documents(tmp_path):
    done = bench("--memory", "--docs", "200", "--json", str(tmp_path / "memory.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "memory.json").read_text())["memory"]
    assert set(found) == {"100", "1000"}
    assert all(each["peak_mb"] > 0 for each in found.values())


def test_a_name_that_nobody_has_is_refused_with_the_names_there_are():
    done = bench("--only", "ours,sprint")
    assert done.returncode == 2
    assert "there is no 'sprint'; there are floor, ours," in done.stderr
