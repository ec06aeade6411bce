"""`python -m benchmarks.estimate`: measure, fit the constants of the estimate, write them where the product looks."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.estimate import fit, measure
from benchmarks.estimate.cases import FITTED, HELD_BACK
from benchmarks.table import columns
from lbmigrate.estimate import fitted
from lbmigrate.estimate.fitted import Fitted
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document

HELP = """\
Runs the real backfill at several sizes and shapes on the embedded server, fits the constants of `lbmigrate plan
--estimate` to them (no cost may be negative), and compares what they predict with cases that were kept out of the fit.
Run it on a machine that does nothing else. --records keeps what was measured; with --again it is fitted once more
without measuring."""


def main() -> int:
    options = _parsed()
    if not options.again:
        with options.records.open("w") as file:
            for line in _measured(options.keep, options.rounds, options.load):
                print(json.dumps(line), file=file, flush=True)
    if options.load:
        return 0
    facts, *records = map(json.loads, options.records.read_text().splitlines())
    kept = {case.name for case in HELD_BACK}
    sides = [[each for each in records if (each["case"]["name"] in kept) == held] for held in (False, True)]
    constants = fit.fit(*sides, facts)
    print(_table("fitted", constants.cases))
    print(_table("held back", constants.held_back))
    print(
        json.dumps(
            {"overlap": asdict(constants.overlap), "errors": constants.errors, "micros": constants.micros}, indent=1
        )
    )
    options.out.write_text(written(constants))
    return 0


def _parsed() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks.estimate", description=HELP, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often every case is run (3)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the generated data here for the next time")
    parser.add_argument("--load", action="store_true", help="only generate the data")
    usual = Path(tempfile.gettempdir(), "lbmigrate-fit.jsonl")
    parser.add_argument("--records", type=Path, default=usual, metavar="PATH", help="where what was measured is kept")
    parser.add_argument("--again", action="store_true", help="fit what --records has, without measuring")
    parser.add_argument("--out", type=Path, default=fitted.FILE, metavar="PATH", help="where the constants go")
    return parser.parse_args()


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lbmigrate-fit-") as directory:
        yield Path(directory)


def _measured(keep: Path | None, rounds: int, load: bool) -> Iterator[Document]:
    """What is true of all measurements first, then one after another."""
    with _home(keep) as home, embedded.serve(home) as uri, open_client(uri) as client:
        yield {**_facts(str(client.server_info()["version"])), "journal": measure.journal(client["fit_journal"])}
        yield from measure.measured(uri, [*FITTED, *HELD_BACK], 0 if load else rounds, _say)


def _facts(mongod: str) -> Document:
    libraries = {name: version(name) for name in ("numpy", "pandas", "pymongo")}
    machine = {
        "cores": measure.cores_here(), "python": platform.python_version(), "mongod": mongod, **libraries,
        "server": "a replica set of one, embedded, on the same machine",
    }  # fmt: skip
    return {"date": dt.datetime.now(dt.UTC).date().isoformat(), "machine": machine}


def written(constants: Fitted) -> str:
    """The constants as their file has them: a case a line."""
    found = asdict(constants)
    lists = {name: [json.dumps(each) for each in found.pop(name)] for name in ("cases", "held_back")}
    text = json.dumps(found, indent=2).removesuffix("\n}")
    for name, lines in lists.items():
        text += f',\n  "{name}": [\n    ' + ",\n    ".join(lines) + "\n  ]"
    return text + "\n}\n"


def _table(title: str, cases: Sequence[Document]) -> str:
    names = ("seconds", "client", "server", "disk", "oplog", "memory")
    rows = [(each["case"]["name"], *(_pair(*each[name]) for name in names)) for each in cases]
    return columns([(f"{title}: predicted/measured", *names), *rows]) + "\n"


def _pair(told: float, taken: float) -> str:
    return f"{told:.2f}/{taken:.2f} {told / taken - 1:+.0%}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
