"""Whether somebody must be woken: what is wrong with a leaderboard, each with its exit code and the next command."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate.migration.status import Status
from lbmigrate.records import amount
from lbmigrate.state import runs
from lbmigrate.state.statuses import RunStatus, StepStatus
from lbmigrate.telling.age import ago

SILENT = 10.0  # seconds without a sign of life, of which a tail gives one every two
LONG_HELD = dt.timedelta(minutes=30)
FAILED, WORK_REMAINS, MISMATCH, REFUSED = 1, 3, 5, 6  # of the table of exit codes
WORST_FIRST = (REFUSED, MISMATCH, FAILED, WORK_REMAINS)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong, the exit code that says so, and what to do next."""

    code: int
    told: str
    next: str


def troubles(found: Status, most: dt.timedelta | None = None) -> list[Trouble]:
    """Everything that is wrong, the worst first; with `most` also what is older than that."""
    every = [*_broken(found), *_runs(found), *_tail(found), *(stale(found, most) if most else ())]
    return sorted(dict.fromkeys(every), key=lambda each: WORST_FIRST.index(each.code))


def stale(found: Status, most: dt.timedelta) -> list[Trouble]:
    """What is not to be relied on: sources not read for longer than `most`; a verdict that is older, failed, overtaken.

    A source counts from when the last pass that came to its end had begun: what changed later is not on the board.
    """
    old = [*_unread(found, most.total_seconds()), *_failed(found)]
    old += [Trouble(WORK_REMAINS, told, "lbmigrate verify") for told in found.overtaken]
    if found.verdict_age is None:
        old.append(Trouble(WORK_REMAINS, "nothing was verified yet", "lbmigrate verify"))
    elif found.verdict_age > most.total_seconds():
        told = f"the verdict is from {ago(dt.timedelta(seconds=found.verdict_age))}"
        old.append(Trouble(WORK_REMAINS, told, "lbmigrate verify"))
    return old


def _unread(found: Status, most: float) -> Iterator[Trouble]:
    for source in found.sources:
        if source.age is None:
            yield Trouble(WORK_REMAINS, f"{source.name} was not read to its end yet", "lbmigrate backfill")
        elif source.age > most:
            told = f"{source.name} was read {ago(dt.timedelta(seconds=source.age))}"
            yield Trouble(WORK_REMAINS, told, "lbmigrate backfill")


def _broken(found: Status) -> Iterator[Trouble]:
    if found.apart:
        yield Trouble(REFUSED, found.apart.sentence, found.apart.way)
    yield from _failed(found)


def _failed(found: Status) -> Iterator[Trouble]:
    if found.verdict and not found.verdict["passed"]:
        told = f"verification found {amount(found.verdict['mismatches'], 'mismatch')}"
        yield Trouble(MISMATCH, told, "lbmigrate verify")


def _runs(found: Status) -> Iterator[Trouble]:
    if all(step.status == StepStatus.NEW for step in found.steps):
        yield Trouble(WORK_REMAINS, "nothing was migrated yet", "lbmigrate run")
    for run in found.unfinished:
        outcome = RunStatus(run["outcome"])
        told = f"{run.get('verb', 'a run')} {outcome.value} {ago(found.now - run.get('startedAt', found.now))}"
        yield Trouble(WORK_REMAINS, told, runs.command_of(run))
    last = found.last_run
    if last.get("outcome") == RunStatus.FAILED:
        yield Trouble(FAILED, f"the last run ({last.get('verb', '?')}) failed", "lbmigrate history")
    yield from _held(found)


def _held(found: Status) -> Iterator[Trouble]:
    run, since = found.running, found.running.get("heldSince")
    if run.get("held") and since and found.now - since > LONG_HELD:
        ends = run.get("heldEnds") or "lbmigrate doctor"
        yield Trouble(WORK_REMAINS, f"held, since {ago(found.now - since)}: {run['held']}", ends)


def _tail(found: Status) -> Iterator[Trouble]:
    """One that was stopped on purpose is none: what it would have followed the backfills find, which have ages."""
    tail = found.tail
    if tail and not tail["following"] and not tail.get("stoppedAt"):
        yield Trouble(WORK_REMAINS, "nobody follows the app's changes", "lbmigrate tail")
    elif tail and (tail["silent"] or 0.0) > SILENT:
        yield Trouble(WORK_REMAINS, f"tail gave no report for {tail['silent']:.0f} s", "lbmigrate status")


def in_a_line(found: Status, wrong: list[Trouble]) -> str:
    """One line for a monitor: the worst and how much more, or that all is well and how fresh it is."""
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"not well: {wrong[0].told}{more}; next: {wrong[0].next}"
    ages = [source.age for source in found.sources if source.age is not None]
    read = f", read {ago(dt.timedelta(seconds=max(ages)))}" if ages else ""
    verified = f", verified {ago(dt.timedelta(seconds=found.verdict_age))}" if found.verdict_age is not None else ""
    busy = f", {found.running.get('verb', 'a run')} is going on" if found.running else ""
    return f"ok{read}{verified}{busy}"
