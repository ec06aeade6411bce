"""Kill a migration fifty times at random moments and compare what it leaves with what an undisturbed one leaves.

    python -m tests.soak.kill_fifty DIR [--kills 50] [--seed 1] [--chunk-size 500]

DIR holds `leaderboard.yaml` and the collections that it names as `*.ndjson[.gz]`; where it also holds an
`expected.json`, the outcome is compared with that too. Runs by hand: it takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from lbmigrate.config.load import read_config
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.state import State
from lbmigrate.values import extjson
from tests.runs import Run, closed_chunks, derived, ended, started, until


def main() -> int:
    asked = arguments()
    source = read_config(asked.directory / "leaderboard.yaml", {}).config
    with (
        tempfile.TemporaryDirectory(prefix="kill-") as home,
        embedded.serve(Path(home, "server")) as uri,
        open_client(uri) as client,
    ):
        databases = {name: client[name] for name in ("undisturbed", "killed")}
        for database in databases.values():
            extjson.load(asked.directory, database, source.collections)
        configs = {name: written(asked, Path(home), name) for name in databases}
        seconds = undisturbed(uri, configs["undisturbed"])
        print(f"undisturbed: {seconds:.1f} s")
        phases = killed(uri, configs["killed"], databases["killed"], asked, 3 * seconds / asked.kills)
        print(f"killed {sum(phases.values())} times: {dict(phases)}")
        return report(asked.directory, *databases.values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunk-size", type=int, default=500)
    return parser.parse_args()


def written(asked: argparse.Namespace, home: Path, name: str) -> Path:
    """The configuration of DIR for another database, in chunks of the size asked for."""
    read: dict[str, Any] = yaml.safe_load((asked.directory / "leaderboard.yaml").read_text())
    read["database"] = {"uri": "${MONGODB_URI}", "name": name}
    read["backfill"] = {"chunk_size": asked.chunk_size, "target": None}
    path = home / f"{name}.yaml"
    path.write_text(yaml.safe_dump(read, sort_keys=False))
    return path


def undisturbed(uri: str, config: Path) -> float:
    """Run once to the end; how long that took from the first write on, about."""
    began = time.monotonic()
    code, _, err = ended(uri, config, "run", "--lock-ttl", "5s")
    if code:
        sys.exit(err)
    startup = time.monotonic()
    ended(uri, config, "status")
    return max(1.0, 2 * startup - began - time.monotonic())


def killed(uri: str, config: Path, database: Any, asked: argparse.Namespace, longest: float) -> Counter[str]:
    """Start and kill as often as asked for, then run to the end; what was under way at each kill."""
    rng = random.Random(asked.seed)
    phases: Counter[str] = Counter()
    for _ in range(asked.kills):
        with started(uri, config, "run", "--lock-ttl", "5s") as run:
            until(lambda run=run: works(run, database), "the run to begin")
            time.sleep(rng.uniform(0, longest))
            phases["after its end" if not run.alive else phase(database)] += 1
    code, _, err = ended(uri, config, "run")
    if code:
        sys.exit(err)
    return phases


def works(run: Run, database: Any) -> bool:
    holder = State(database).get("lock").get("holder") or {}
    return holder.get("pid") == run.pid or not run.alive


def phase(database: Any) -> str:
    steps = {row["number"] for row in State(database).rows.find({"kind": "step", "status": "applied"})}
    if 4 in steps:
        return "verifying or cutting over"
    if database["leaderboard_entries"].find_one():
        return "rolling up"
    return "emitting" if closed_chunks(database) else "before the first chunk"


def report(directory: Path, undisturbed: Any, killed: Any) -> int:
    left, right = derived(undisturbed), derived(killed)
    bad = 0
    for name in left:
        ids = left[name].keys() | right[name].keys()
        different = [key for key in ids if left[name].get(key) != right[name].get(key)]
        bad += len(different)
        print(f"{name}: {len(left[name]):,} and {len(right[name]):,}, {len(different)} different {different[:3]}")
    expected = directory / "expected.json"
    if expected.exists():
        wanted, found = json.loads(expected.read_text()), summary(killed)
        wrong = [key for key in ("sha256_global", "sha256_week") if wanted[key] != found[key]]
        bad += len(wrong)
        print(f"{expected.name}: {'differs in ' + ', '.join(wrong) if wrong else 'the digests agree'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
