"""One contestant in a process of its own, so that memory and processor time are its own too.

`python -m benchmarks.child NAME STAGE [PROFILE]` prints what was measured as a line of JSON. The clock, and the
processor times, run from the start of the work to its end: interpreter, imports and connecting are outside for
everybody. The peak of memory is that of the whole process.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from benchmarks import byhand, floor, ours, profiled
from benchmarks.stage import Figures, Stage, Work

CONTESTANTS: dict[str, Callable[[Stage], AbstractContextManager[Work]]] = {
    "floor": floor.floor,
    "ours": ours.first_run,
    "one-by-one": ours.one_by_one,
    "re-run": ours.later_run,
    "verify": ours.verify_everything,
    "reconcile": ours.reconcile,
    "dry-run": ours.dry_run,
    "incremental": ours.later_run,
    "merge": byhand.merge,
    "upserts": byhand.upserts,
    "loop": byhand.loop,
}


def _meters(client: MongoClient[Any]) -> Figures:
    status = client.admin.command("serverStatus")
    server = psutil.Process(status["pid"]).cpu_times()
    return {
        "examined": status["metrics"]["queryExecutor"]["scannedObjects"],
        "server_cpu": server.user + server.system,
        "client_cpu": time.process_time(),
        "seconds": time.perf_counter(),
    }


def _peak() -> float:
    # Not getrusage: what that tells begins with the peak of the process that started this one.
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes[1]) / 1024 if kilobytes else 0.0


def measure(name: str, stage: Stage, profile: str = "") -> Figures:
    """Run one contestant; seconds, documents that the server examined, and peak megabytes (MiB).

    With a `profile`, a file that says where the time went; the figures are larger then, and not to be compared.
    """
    client: MongoClient[Any]
    with MongoClient(stage.uri) as client, CONTESTANTS[name](stage) as work:
        gc.collect()
        before = _meters(client)
        with profiled.profiled(Path(profile)) if profile else nullcontext():
            found = work()
        after = _meters(client)
    return {**{meter: after[meter] - before[meter] for meter in before}, **found, "peak_mb": _peak()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Stage.from_json(sys.argv[2]), *sys.argv[3:])))
