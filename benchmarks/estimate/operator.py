"""Commands as an operator types them: a process each, with what it and the server use meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.estimate.cases import RULES, Case, document
from benchmarks.rounds import ROOT
from lbmigrate.records import Document

REMAINS = 3  # the exit code of a plan with something to do


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds on the clock, processor seconds of both sides, and the last line that was printed."""

    seconds: float
    client: float
    server: float
    result: Document


def typed(arguments: Sequence[str], case: Case, uri: str, server: int) -> Used:
    """Have `lbmigrate` run with these arguments until it ends; `server` is the process of the mongod."""
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"lbmigrate-estimate-{os.getpid()}.yaml")
    path.write_text(json.dumps(document(case, uri)))  # which is YAML as well
    try:
        return _metered([*arguments, "--json", "-c", str(path), "--allow-functions", RULES], psutil.Process(server))
    finally:
        path.unlink()


def _metered(arguments: Sequence[str], server: psutil.Process) -> Used:
    before, began = _spent(server), time.perf_counter()
    command = [sys.executable, "-m", "lbmigrate", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, REMAINS):
        raise SystemExit(f"{' '.join(command)} exits {process.returncode}")
    return Used(seconds, usage.ru_utime + usage.ru_stime, _spent(server) - before, json.loads(lines[-1]))


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
