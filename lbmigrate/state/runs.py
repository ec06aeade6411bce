"""Runs and locks as they really stand: a process that was killed cannot correct its record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from lbmigrate.records import Document
from lbmigrate.state.conditions import of
from lbmigrate.state.lease import FOLLOWING, LOCK, is_held
from lbmigrate.state.rows import State
from lbmigrate.state.statuses import RunStatus

GOES_ON = frozenset({  # what the command of the run itself goes on with
    RunStatus.DIED, RunStatus.WORK_REMAINS, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.LEASE_LOST,
})  # fmt: skip

FOLLOWER = "tail"  # which goes on beside the runs, and has no end of its own
TOLD_TO = frozenset({RunStatus.DONE, RunStatus.STOPPED, RunStatus.WORK_REMAINS, RunStatus.INTERRUPTED})
ALIKE = {"backfill": "run"}  # a scheduled backfill goes on with what a run has left


def recent(state: State, now: dt.datetime, limit: int = 20) -> list[Document]:
    """The newest runs, newest first, each with the outcome that it really has."""
    locks = [lock for row in (LOCK, FOLLOWING) if is_held(lock := state.get(row), now)]
    return [_as_it_stands(run, locks) for run in state.runs(limit)]


def was_running(state: State, verb: str, moment: dt.datetime) -> bool:
    """Whether a run of this verb is on record that had begun by then and had not ended before."""
    asked = {**of("run"), "verb": verb, "startedAt": {"$lte": moment}, "endedAt": {"$gte": moment}}
    return state.rows.find_one(asked, {"_id": 1}) is not None


def command_of(run: Document) -> str:
    """What goes on with a run, or does it again."""
    return str(run.get("options", {}).get("command") or f"lbmigrate {run.get('verb', 'run')}")


def way_on(run: Document) -> str:
    """The command to type after a run that did not do everything; `lbmigrate history` where its error must be read."""
    return command_of(run) if run.get("outcome") in GOES_ON else "lbmigrate history"


def to_go_on(runs: Sequence[Document]) -> list[Document]:
    """Of the newest runs those that did not do everything, as long as nobody has begun the like since."""
    begun: set[str] = set()
    left = []
    for run in runs:
        verb = str(run.get("verb", ""))
        kind = ALIKE.get(verb, verb)
        if kind not in begun and run.get("outcome") in GOES_ON and not was_told_to(run):
            left.append(run)
        begun.add(kind)
    return left


def was_told_to(run: Document) -> bool:
    """Whether somebody who followed the app's changes has ended because that was asked for: nothing is left undone."""
    return run.get("verb") == FOLLOWER and run.get("outcome") in TOLD_TO


def _as_it_stands(run: Document, locks: Sequence[Document]) -> Document:
    if run.get("outcome") != RunStatus.RUNNING or any(_names(lock, run) for lock in locks):
        return run
    died = RunStatus.RUNNING.to(RunStatus.DIED)
    return {
        **run,
        "outcome": died,
        "held": None,
        "heldEnds": None,
        "error": f"{RunStatus.DIED.sentence}: {command_of(run)}",
    }


def _names(lock: Document, run: Document) -> bool:
    """Whether a lock is that of a run; a lock that an older version took does not say whose it is."""
    return not lock.get("run") or run["_id"] == f"run:{lock['run']}"
