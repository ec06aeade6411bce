"""`python -m benchmarks.estimate.check`: is what `plan --estimate` says what a run then takes?

Of each case a database is filled, `lbmigrate plan --estimate --json` is asked as an operator asks it, and then
`lbmigrate run` is typed, a process of its own, with nothing done before it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from benchmarks.estimate.cases import Case, load
from benchmarks.estimate.operator import Used, typed
from benchmarks.estimate.trial import now, oplog
from benchmarks.stage import LEADERBOARD, clear
from benchmarks.table import columns
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document

CASES = (
    Case("few documents", 5_000, per_user=40),
    Case("few users", 25_000, per_user=1_000),
    Case("many users", 50_000, per_user=5),
    Case("sessions too", 30_000, per_user=90, sessions=40_000),
    Case("old history", 40_000, per_user=60, stretch=8),
    Case("many kinds of periods", 35_000, per_user=45, periods=("global", "week", "day", "month", "year")),
    Case("two processes", 80_000, per_user=55, executor="processes"),
    Case("four threads, large documents", 70_000, per_user=110, padding=2_000, workers=4),
    Case("all of it verified by processes", 45_000, per_user=20, executor="processes", level="full"),
    Case("many documents", 200_000, per_user=80),
)
AMOUNTS = ("seconds", "client", "server", "disk", "oplog")


def main() -> int:
    options = _parsed()
    chosen = [case for case in CASES if options.only in case.name]
    with tempfile.TemporaryDirectory(prefix="lbmigrate-check-") as home, embedded.serve(Path(home)) as uri:
        found = [row for _ in range(options.rounds) for row in _checked(uri, chosen)]
    for title, rows in (("predicted/measured", map(_line, found)), ("seconds", map(_bounds, found))):
        heads = ("case", *AMOUNTS) if title != "seconds" else ("case", "low", "likely", "high", "measured", "busy", "")
        print(columns([heads, *rows]) + f"\n({title})\n")
    inside = sum(_holds(row) for row in found)
    print(f"{inside} of {len(found)} runs took a time within the bounds")
    return 0


def _parsed() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks.estimate.check", description=__doc__, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often every case is run (1)")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name has this word")
    return parser.parse_args()


def _checked(uri: str, cases: Sequence[Case]) -> Iterator[Document]:
    with open_client(uri) as client:
        server = int(client.admin.command("serverStatus")["pid"])
        for case in cases:
            load(client[case.database], case)
            clear(client[case.database])
            ways = ["--executor", case.executor, "--workers", str(case.workers)]
            told = typed(["plan", "--estimate", *ways], case, uri, server).result["estimate"]
            began = now(client)
            used = typed(["run", "--yes", "--no-backup", *ways], case, uri, server)
            yield {"case": case.name, "told": told, "taken": _taken(client, case, used, began)}
            clear(client[case.database])
            print(f"{case.name}: {used.seconds:.1f} s", file=sys.stderr, flush=True)


def _taken(client: MongoClient[Any], case: Case, used: Used, began: Any) -> dict[str, float]:
    """What the run used; on the disk that shows when all is written there."""
    client.admin.command("fsync")
    loads = {"seconds": used.seconds, "client": used.client, "server": used.server}
    return {**loads, "disk": _on_disk(client[case.database]), "oplog": oplog(client, began)}


def _on_disk(database: Database[Any]) -> int:
    there = set(database.list_collection_names())
    stats = [database.command("collStats", name) for name in LEADERBOARD if name in there]
    return sum(each["storageSize"] + each["totalIndexSize"] for each in stats)


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    pairs = ((row["told"][name]["likely"], row["taken"][name]) for name in AMOUNTS)
    units = (1, 1, 1, 1e6, 1e6)
    return row["case"], *(
        f"{told / unit:.2f}/{taken / unit:.2f} {told / taken - 1:+.0%}"
        for (told, taken), unit in zip(pairs, units, strict=True)
    )


def _bounds(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, likely, high = (row["told"]["seconds"][name] for name in ("low", "likely", "high"))
    figures = (low, likely, high, row["taken"]["seconds"], row["told"]["calibration"]["machine"]["busy"])
    return row["case"], *(f"{each:.2f}" for each in figures), "" if _holds(row) else "outside"


def _holds(row: Mapping[str, Any]) -> bool:
    bounds = row["told"]["seconds"]
    return bool(bounds["low"] <= row["taken"]["seconds"] <= bounds["high"])


if __name__ == "__main__":
    sys.exit(main())
