"""The run: everybody on the same data, in rounds, each time in a fresh process and on fresh collections."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bson
from pymongo.database import Database

from benchmarks import data, floor
from benchmarks.stage import DONE, Figures, Stage, clear, opened
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS

# Groups stay together, because what follows in a group goes on from what its first has left.
LINEUP = (
    ("floor",),
    ("ours", "re-run", "verify", "reconcile", "incremental"),
    ("dry-run",),
    ("merge",),
    ("upserts",),
    ("loop",),
)
ASKED = (("one-by-one",),)  # who runs where they are asked for
OF_ANY_KIND = ("floor", "ours", "one-by-one")  # of tasks that are not alike: others score them otherwise
NAMES = tuple(name for group in (*LINEUP, *ASKED) for name in group)
ONCE = ("verify", "reconcile", "dry-run", "merge", "upserts", "loop")  # in the first round alone: they take long
NO_OUTCOME = ("dry-run",)  # which writes nothing
SHARED = ("_id", "userId", "period", "score", "events", "lastEventAt")  # the fields of an entry that all compute
ROOT = Path(__file__).parents[1]

Say = Callable[[str], None]
Round = dict[str, Figures]


def lineup(only: Sequence[str], kind: str = "alike") -> list[tuple[str, ...]]:
    """The groups of these contestants; who needs a predecessor brings it along. Without any, those for such tasks."""
    if not only and kind == "alike":
        return list(LINEUP)
    named = {*(only or OF_ANY_KIND)}
    return [tuple(n for n in group if n in (*named, group[0])) for group in (*LINEUP, *ASKED) if {*group} & named]


def run(
    stage: Stage, groups: Sequence[tuple[str, ...]], rounds: int, say: Say, profiles: Path | None = None
) -> tuple[list[Round], Document]:
    """Measure in rounds, each of which begins with another group; also what everybody ended with.

    With a directory of `profiles` each contestant leaves one there.
    """
    measured: list[Round] = [{} for _ in range(rounds)]
    with opened(stage) as database:
        outcomes = {"ours": _rehearse(stage, database, say)}
        for number, figures in enumerate(measured):
            turn = number % len(groups)
            for group in [*groups[turn:], *groups[:turn]]:
                clear(database)
                names = [name for name in group if number == 0 or name not in ONCE]
                for name, found in _group(stage, database, names, profiles):
                    figures[name] = found
                    say(f"round {number + 1} of {rounds}: {name} {found['seconds']:.2f} s")
                    if name == group[0] and name not in (*outcomes, *NO_OUTCOME):
                        outcomes[name] = outcome(database)
        clear(database)
    return measured, outcomes


def _rehearse(stage: Stage, database: Database[Any], say: Say) -> Document:
    """One run of ours that does not count: it warms the server up, and leaves what the floor is to write."""
    clear(database)
    say(f"warming up: {perform('ours', stage)['seconds']:.2f} s")
    floor.save_finished(database, stage.finished)
    return outcome(database)


def _group(
    stage: Stage, database: Database[Any], group: Sequence[str], profiles: Path | None
) -> Iterator[tuple[str, Figures]]:
    for name in group:
        profile = profiles and profiles / f"{name}.prof"
        with data.changed(database, stage.docs) if name == "incremental" else nullcontext():
            yield name, perform(name, stage, profile)


def perform(name: str, stage: Stage, profile: Path | None = None) -> Figures:
    """Let one contestant run in a process of its own, and return what it measured."""
    command = [sys.executable, "-m", "benchmarks.child", name, stage.to_json(), *([str(profile)] if profile else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def outcome(database: Database[Any]) -> Document:
    """Counts and digests of whole events, and of what everybody puts into entries; no order of them matters."""
    shared = dict.fromkeys(SHARED, 1)
    return {
        "events": database[EVENTS].estimated_document_count(),
        "entries": database[ENTRIES].estimated_document_count(),
        "events_digest": _digest(database[EVENTS].find()),
        "entries_digest": _digest(database[ENTRIES].find({}, shared)),
    }


def _digest(documents: Iterator[Document]) -> str:
    total = 0
    for document in documents:
        hashed = hashlib.blake2b(bson.encode(_sorted(document)), digest_size=8)
        total += int.from_bytes(hashed.digest(), "big")
    return f"{total % 2**64:016x}"


def _sorted(document: Document) -> Document:
    """The fields in one order, however somebody wrote them."""
    return {name: _sorted(value) if type(value) is dict else value for name, value in sorted(document.items())}


def strangers(outcomes: Document, whole: int, slice_: int) -> list[str]:
    """Who did not end with the events and entries that ours has. The loop can only where its slice is everything."""
    judged = {name: found for name, found in outcomes.items() if name != "loop" or whole <= slice_}
    return [name for name, found in judged.items() if found != outcomes["ours"]]


def qualifying(database: Database[Any]) -> int:
    """How many tasks become events."""
    return database["tasks"].count_documents(DONE)
