"""`python -m benchmarks`: generate the data once, let everybody run on it in turn, and print a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import data, profiled, results, rounds, table
from benchmarks.results import Target
from benchmarks.stage import Stage, clear, opened
from lbmigrate.mongo import embedded
from lbmigrate.records import Document

HELP = """\
Measures the backfill against what else one could do, in one run, on the embedded server: all contestants read the same
generated tasks and must end with the same events and entries.

  floor        raw BSON read, finished raw BSON written, as many threads as ours: no client can do better
  ours         step 4 of the migration
  re-run       the same again, with nothing new
  verify       verify --full
  reconcile    reconcile, with nothing to do
  incremental  the backfill again, after 1,000 changes
  dry-run      run --dry-run on a part, scaled up and labelled so
  merge        $match/$project/$merge and $group/$merge, written by hand
  upserts      bulk upserts in batches of 1,000
  loop         insert_one and update_one on a slice, scaled up and labelled so
  one-by-one   ours where no documents go together; only where it is named, or the tasks are not alike"""


def main() -> int:
    options = _parsed()
    with _home(options.keep) as home, embedded.serve(home) as uri:
        stage = Stage(uri, str(home), options.docs, kind=options.data)
        if options.profile:
            return _profile(stage, options.only or ("ours",), options.profile)
        document, targets = _memory(stage) if options.memory else _contest(stage, options.only, options.rounds)
    print(f"\n{table.verdicts(targets)}")
    if options.json:
        whole = {**document, "targets": [{**asdict(each), "verdict": each.verdict} for each in targets]}
        options.json.write_text(json.dumps({**_machine(), **whole}, indent=2) + "\n")
    if document.get("strangers"):
        _say(f"these ended with other events or entries than ours: {', '.join(document['strangers'])}")
        return 1
    return 0


def _parsed() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=HELP, formatter_class=raw)
    parser.add_argument("--docs", type=_positive, default=1_000_000, metavar="N", help="tasks to generate (1000000)")
    parser.add_argument("--rounds", type=_positive, default=3, metavar="N", help="how often everybody runs (3)")
    parser.add_argument("--data", choices=data.KINDS, default="alike", help="how alike the tasks are (alike)")
    parser.add_argument("--only", type=_names, default=(), metavar="NAME,…", help="these contestants")
    parser.add_argument("--memory", action="store_true", help="only ours' peak memory at half and at 5 times N tasks")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="only where the client's time goes, as files there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the generated data here for the next time")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write everything measured to this file")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in rounds.NAMES:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(rounds.NAMES)}")
    return names


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lbmigrate-bench-") as directory:
        yield Path(directory)


def _contest(stage: Stage, only: Sequence[str], count: int) -> tuple[Document, list[Target]]:
    qualifying = _load(stage)
    measured, outcomes = rounds.run(stage, rounds.lineup(only, stage.kind), count, _say)
    told = results.scaled(measured, qualifying)
    print(f"{stage.docs:,} tasks; {qualifying:,} make events, these {outcomes['ours']['entries']:,} entries\n")
    print(table.contest(told, stage.docs, stage.slice))
    document = {
        "docs": stage.docs,
        "data": stage.kind,
        "qualifying": qualifying,
        "rounds": measured,
        "medians": results.medians(told),
        "outcomes": outcomes,
        "strangers": rounds.strangers(outcomes, qualifying, stage.slice),
    }
    return document, results.targets(told, stage.kind)


def _memory(stage: Stage) -> tuple[Document, list[Target]]:
    """Ours at half and at five times as many documents."""
    found = {}
    for docs in (max(1, stage.docs // 2), stage.docs * 5):
        sized = replace(stage, docs=docs)
        _load(sized)
        with opened(sized) as database:
            clear(database)
            found[docs] = rounds.perform("ours", sized)
            clear(database)
        _say(f"ours on {docs:,} tasks: {found[docs]['seconds']:.1f} s")
    rows = [(f"{docs:,}", f"{each['peak_mb']:.0f}", f"{each['seconds']:.1f}") for docs, each in found.items()]
    print(table.columns([("tasks", "peak MiB", "seconds"), *rows]))
    return {"memory": found}, results.memory_targets(*found.values())


def _profile(stage: Stage, only: Sequence[str], directory: Path) -> int:
    """One round in which everybody leaves a profile; what a profile costs is in it, so no figure is compared."""
    directory.mkdir(parents=True, exist_ok=True)
    _load(stage)
    rounds.run(stage, rounds.lineup(only), 1, _say, directory.resolve())
    for name in rounds.NAMES:
        if (directory / f"{name}.prof").exists():
            print(f"{profiled.shown(directory / f'{name}.prof', stage.docs)}\n")
    return 0


def _load(stage: Stage) -> int:
    """Have the data there; returns how many of the tasks become events."""
    with opened(stage) as database:
        _say(f"{'generated' if data.load(database, stage.docs, stage.kind) else 'found'} {stage.docs:,} tasks")
        return rounds.qualifying(database)


def _machine() -> Document:
    return {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
