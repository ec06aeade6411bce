"""`python -m benchmarks.doors`: what opening costs, beside what it cannot do without, in one run, alternating.

Processor time (user and system) of a whole process: `lbmigrate --help` and `--version` beside importing typer and rich,
what `status` and an idle `backfill` import beside the libraries that any verb needs, and a `Board` beside importing
pymongo, whose peak memory is compared as well. Medians of ROUNDS.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import table
from benchmarks.results import Target

ROUNDS = 15
ROOT = Path(__file__).parents[1]
PEAK = "; print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
LIBRARIES = "import pymongo, typer, pydantic, yaml, rich.console, dateutil.relativedelta"
STATUS = "import lbmigrate.cli.main, lbmigrate.cli.status, lbmigrate.commands._look"
BACKFILL = (
    "import lbmigrate.cli.main, lbmigrate.cli.backfill, lbmigrate.commands._run, lbmigrate.migration.steps.s4_backfill"
)
BOARD = "from pymongo import MongoClient; from lbmigrate import Board; Board(MongoClient(connect=False)['app'], None)"
DOORS: dict[str, tuple[list[str], list[str], float]] = {  # what opens, beside what, and how many times its time
    "--help": (["-m", "lbmigrate", "--help"], ["-c", "import typer, rich"], 1.5),
    "--version": (["-m", "lbmigrate", "--version"], ["-c", "import typer, rich"], 1.5),
    "status": (["-c", STATUS], ["-c", LIBRARIES], 2.0),
    "backfill": (["-c", BACKFILL], ["-c", LIBRARIES], 2.3),
    "Board": (["-c", BOARD], ["-c", "import pymongo"], 1.3),
}
MORE_MEMORY = 10.0  # MiB


def main() -> int:
    rows = [("door", "seconds", "beside", "ratio")]
    targets = []
    for door, (command, beside, most) in DOORS.items():
        pairs = [(_spent(command), _spent(beside)) for _ in range(ROUNDS + 1)][1:]  # the first fills the caches
        own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(mine / its for mine, its in pairs)
        rows.append((door, f"{own:.3f}", f"{other:.3f}", f"{ratio:.2f}"))
        targets.append(Target(f"{door}: × the processor time beside it", "≤", most, ratio))
    more = _peak(BOARD) - _peak("import pymongo")
    targets.append(Target("Board: MiB more than pymongo", "≤", MORE_MEMORY, more))
    print(f"{table.columns(rows)}\n\n{table.verdicts(targets)}")
    return 0


def _spent(arguments: list[str]) -> float:
    """Processor seconds of one process."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} exits {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _peak(code: str) -> float:
    """Peak MiB of a process that runs some code."""
    command = [sys.executable, "-c", code + PEAK]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout) / 1024


if __name__ == "__main__":
    sys.exit(main())
