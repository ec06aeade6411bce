"""The benchmark on few documents. What it says about time is left alone: only that everybody does the same work."""

from __future__ import annotations

import json
import pstats
import subprocess
import sys
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bson
import pytest

from benchmarks import profiled, results, rounds
from benchmarks.stage import Stage

ROOT = Path(__file__).parents[2]
DOCS = 2_000
WHOLE_RUNS = ("floor", "ours", "merge", "upserts", "loop")

pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow]


def unasked() -> list[str]:
    """Who runs where nobody is named."""
    return [name for group in rounds.LINEUP for name in group]


def bench(*options: str, module: str = "benchmarks") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *options]
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
    assert set(results["medians"]) == set(unasked())
    for target in results["targets"]:
        assert target["verdict"] in ("met", "missed")
        assert target["what"] in table


@pytest.mark.parametrize("kind", ["layouts", "shapeless"])
def test_tasks_that_are_not_alike_end_as_each_by_itself_does(kind, tmp_path):
    path = tmp_path / "results.json"
    done = bench("--docs", str(DOCS), "--rounds", "1", "--data", kind, "--json", str(path))
    assert done.returncode == 0, done.stderr
    results = json.loads(path.read_text())
    assert results["outcomes"].keys() == {"floor", "ours", "one-by-one"}
    assert results["strangers"] == []
    rejected = results["qualifying"] - results["outcomes"]["ours"]["events"]
    assert rejected == 0 if kind == "shapeless" else 0 < rejected < DOCS / 100


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


def test_a_full_verification_and_a_reconciliation_find_nothing_to_do_and_a_dry_run_writes_nothing(finished):
    (figures,) = finished[1]["rounds"]
    assert figures["reconcile"]["adjusted"] == 0
    assert figures["reconcile"]["read"] >= finished[1]["qualifying"]
    assert figures["verify"]["examined"] > finished[1]["qualifying"]
    assert figures["dry-run"]["emitted"] == finished[1]["qualifying"]
    assert "dry-run" not in finished[1]["outcomes"]


def test_what_takes_long_runs_in_the_first_round_alone(monkeypatch):
    ran = []
    monkeypatch.setattr(rounds, "perform", lambda name, *_: ran.append(name) or {"seconds": 1.0})
    monkeypatch.setattr(rounds, "outcome", lambda _: {})
    monkeypatch.setattr(rounds, "clear", lambda _: None)
    monkeypatch.setattr(rounds, "opened", lambda _: nullcontext())
    monkeypatch.setattr(rounds.floor, "save_finished", lambda *_: None)
    monkeypatch.setattr(rounds.data, "changed", lambda *_: nullcontext())
    measured, _ = rounds.run(Stage("", "", 10), rounds.lineup(()), 3, lambda _: None)
    assert Counter(ran[1:]) == {name: 1 if name in rounds.ONCE else 3 for name in unasked()}
    assert results.ratio(measured, "merge", "ours") == 1.0
    assert results.medians(measured)["loop"] == {"seconds": 1.0}


def test_a_profile_opens_with_pstats_and_tells_the_rooms_by_own_time(tmp_path):
    def work() -> None:
        list(map(bson.encode, [{"a": n} for n in range(20_000)]))

    with profiled.profiled(tmp_path / "ours.prof"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert pstats.Stats(str(tmp_path / "ours.prof")).total_calls > 20_000
    assert "bson" in dict(profiled.rooms(tmp_path / "ours.prof"))
    assert profiled.shown(tmp_path / "ours.prof", 10).splitlines()[-1].endswith("100%")


def test_time_in_which_a_thread_waits_is_in_no_profile(tmp_path):
    with profiled.profiled(tmp_path / "waiting.prof"):
        threading.Event().wait(0.5)
    assert sum(seconds for _, seconds in profiled.rooms(tmp_path / "waiting.prof")) < 0.25


def test_a_tail_is_measured_at_full_speed_and_at_half_of_it(tmp_path):
    done = bench("--changes", "300", "--seconds", "1", "--json", str(tmp_path / "tail.json"), module="benchmarks.tail")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "tail.json").read_text())["tail"]
    assert all(figure > 0 for figure in found.values())
    assert found["delay p50 ms"] <= found["delay p99 ms"]


def test_record_is_measured_alone_and_from_several_threads(tmp_path):
    done = bench("--calls", "5", "--json", str(tmp_path / "record.json"), module="benchmarks.record")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "record.json").read_text())
    assert set(found["record"]) == {"50", "500", "5000"}
    assert set(found["together"]) == {"50", "5000"}
    assert all(figures["p50"] <= figures["p99"] for figures in found["together"].values())


def test_a_name_that_nobody_has_is_refused_with_the_names_there_are():
    done = bench("--only", "ours,sprint")
    assert done.returncode == 2
    assert "there is no 'sprint'; there are floor, ours," in done.stderr
