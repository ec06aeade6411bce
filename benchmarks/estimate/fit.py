"""From measurements to the constants of the model, and how far off what it predicts is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from math import log
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.estimate.cases import Case
from benchmarks.estimate.measure import done
from benchmarks.estimate.nonnegative import solve
from lbmigrate.estimate import calibration, estimate, model, sizes
from lbmigrate.estimate.fitted import Fitted
from lbmigrate.estimate.model import PARTS, SIDES, Executors, Machine, Overlap, Side, Work
from lbmigrate.records import Document

LARGE = 30_000  # documents, from which on what a file needs anyway does not count
LEAST_ERROR = 0.10  # however well it fits: the next machine is another one
GRID = {
    "threads": (1.0, 1.1, 1.2, 1.3, 1.5),
    "background": (0.0, 0.1, 0.2, 0.3, 0.4),
    "sharpness": (2.0, 3.0, 4.0, 6.0, 12.0),
}
Record = Mapping[str, Any]


def case_of(record: Record) -> Case:
    return Case(**{**record["case"], "periods": tuple(record["case"]["periods"])})


def executors_of(record: Record) -> Executors:
    case = case_of(record)
    return Executors(case.workers, case.executor == "processes")


def reference(record: Record) -> Machine:
    """The machine that this was measured on: its speed is what others are compared with. Others may have used it."""
    cores = record["cores"]
    return Machine(cores=cores, server_cores=record["server_cores"] or cores, busy=record["busy"])


def machine_of(record: Record, constants: Fitted) -> Machine:
    """The same as an estimate sees it at that moment."""
    speed = record["yardsticks"]["client"] / constants.yardsticks["client"]
    seen = calibration.trusted(speed, constants.drift)
    return replace(
        reference(record), client=seen, server=seen, busy=record["busy"], trip=record["trip"], journal=constants.journal
    )


def fit(records: Sequence[Record], held_back: Sequence[Record], facts: Document) -> Fitted:
    """The constants; `facts` are the date, the machine, and the seconds of its `journal`."""
    yardsticks = {side: mean(each["yardsticks"][side] for each in records) for side in SIDES}
    yardsticks["scoring"] = median(
        each["work"]["scoring"] / each["work"]["documents"] for each in records if _is_plain(each)
    )
    logs = [log(each["yardsticks"]["client"]) for each in records]
    drift = round(float(np.std(logs)), 3)
    micros = {part: {side: _costs(records, part, side) for side in SIDES} for part in PARTS}
    found = Fitted(
        micros=micros, overlap=_overlap(quietest(records)), yardsticks=yardsticks, bytes=_bytes(records),
        memory=_memory(records), drift=drift, errors={}, **facts,
    )  # fmt: skip
    cases = comparisons(found, quietest(records), lambda each: (done(each), reference(each)))
    others = comparisons(found, quietest(held_back), lambda each: (Work(**each["work"]), machine_of(each, found)))
    return replace(found, cases=cases, held_back=others, errors=_errors([*cases, *others]))


def quietest(records: Sequence[Record]) -> list[Record]:
    """Of each case the half of its rounds in which others used the machine least: only there the clock says much."""
    names = dict.fromkeys(record["case"]["name"] for record in records)
    rounds = [
        sorted((r for r in records if r["case"]["name"] == name), key=lambda r: float(r["busy"])) for name in names
    ]
    return [record for some in rounds for record in some[: -(-len(some) // 2)]]


def _is_plain(record: Record) -> bool:
    return case_of(record).rule == "plain"


def _costs(records: Sequence[Record], part: str, side: Side) -> dict[str, float]:
    """Microseconds for each thing, on the reference machine."""
    terms, rows, measured = model.terms_of(part, side), [], []
    for record in records:
        work = done(record)
        scored = {("events", "client"): work.scoring, ("verification", "client"): work.rescoring}
        scoring = scored.get((part, side), 0.0)
        taken = (record["trial"]["parts"][part][side] - scoring) * 1e6
        if taken > 0:
            rows.append([term.amount(work, executors_of(record)) for term in terms])
            measured.append(taken)
    costs = solve(np.array(rows, dtype=np.float64), np.array(measured))
    return {term.thing: round(float(cost), 3) for term, cost in zip(terms, costs, strict=True)}


def _overlap(records: Sequence[Record]) -> Overlap:
    """What comes nearest to the clock, where processor times are as they were measured."""

    def off(overlap: Overlap) -> float:
        pairs = (
            (_seconds(overlap, record, part), record["trial"]["parts"][part]["seconds"])
            for record in records
            for part in model.SHARED_OUT
        )
        return sum(log(told / taken) ** 2 for told, taken in pairs)

    return min((Overlap(*each) for each in product(*GRID.values())), key=off)


def _seconds(overlap: Overlap, record: Record, part: str) -> float:
    taken, machine = record["trial"]["parts"][part], reference(record)
    limits = model.limits(overlap, taken["client"], taken["server"], 0.0, executors_of(record), machine)
    seconds = min(model.softened(list(limits.values()), overlap.sharpness), taken["client"] + taken["server"])
    return seconds * machine.busy


def _bytes(records: Sequence[Record]) -> dict[str, float]:
    large = [each for each in records if case_of(each).docs >= LARGE]
    trials = [(case_of(each), each["trial"]) for each in large]
    alone = [min(each["work"]["apart"], each["trial"]["events"]["count"]) for each in large]
    plain = [trial for case, trial in trials if not case.indexes]
    indexed = [(case, trial) for case, trial in trials if case.indexes]

    def each(kind: str, of: str) -> float:
        return median(trial[kind][of] / trial[kind]["count"] for trial in plain)

    whole = [
        (t["events"]["count"], t["entries"]["count"], apart, t["oplog"])
        for (_, t), apart in zip(trials, alone, strict=True)
    ]
    over = [oplog - n * each("events", "bytes") - m * each("entries", "bytes") for n, m, _, oplog in whole]
    oplog = solve(np.array([row[:3] for row in whole], dtype=np.float64), np.array(over))
    more = [t["events"]["indexes"] / t["events"]["count"] - each("events", "indexes") for _, t in indexed]
    found = {
        "event": each("events", "bytes"),
        "event_indexes": each("events", "indexes"),
        "event_compression": each("events", "storage") / each("events", "bytes"),
        "event_oplog": float(oplog[0]),
        "apart_oplog": float(oplog[2]),
        "index": median(extra / case.indexes for extra, (case, _) in zip(more, indexed, strict=True)) if more else 0.0,
        "entry": each("entries", "bytes"),
        "entry_indexes": each("entries", "indexes"),
        "entry_compression": each("entries", "storage") / each("entries", "bytes"),
        "entry_oplog": float(oplog[1]),
    }
    return {name: round(value, 3) for name, value in found.items()}


def _memory(records: Sequence[Record]) -> dict[str, float]:
    rows = []
    for each in records:
        executors = executors_of(each)
        rows.append([1, 1, executors.workers] if executors.processes else [1, executors.workers, 0])
    peaks = np.array([each["trial"]["peak"] for each in records], dtype=np.float64)
    found = solve(np.array(rows, dtype=np.float64), peaks)
    return {name: round(float(value), 1) for name, value in zip(("process", "worker", "child"), found, strict=True)}


Given = Callable[[Record], tuple[Work, Machine]]


def comparisons(constants: Fitted, records: Sequence[Record], given: Given) -> tuple[Document, ...]:
    """What is predicted of each case beside what was measured, medians over the rounds."""
    names = dict.fromkeys(record["case"]["name"] for record in records)
    return tuple(_compared(constants, [r for r in records if r["case"]["name"] == name], given) for name in names)


def _compared(constants: Fitted, rounds: Sequence[Record], given: Given) -> Document:
    rows = [_told_and_taken(constants, record, *given(record)) for record in rounds]
    case = {name: value for name, value in asdict(case_of(rounds[0])).items() if name != "periods"}
    pairs = {
        name: [round(median(row[name][side] for row in rows), 3) for side in (0, 1)] for name in rows[0]
    }  # predicted, measured
    return {"case": {**case, "periods": len(case_of(rounds[0]).periods)}, **pairs}


def _told_and_taken(constants: Fitted, record: Record, work: Work, machine: Machine) -> dict[str, tuple[float, float]]:
    executors, trial = executors_of(record), record["trial"]
    parts = estimate.predicted(constants, work, executors, machine)
    added = sizes.bytes_of(constants, work)
    taken = {name: sum(trial["parts"][part][name] for part in PARTS) for name in ("seconds", *SIDES)}
    disk = sum(trial[kind][of] for kind in ("events", "entries") for of in ("storage", "indexes"))
    return {
        "seconds": (sum(part.seconds for part in parts), taken["seconds"]),
        "client": (sum(part.client for part in parts), taken["client"]),
        "server": (sum(part.server for part in parts), taken["server"]),
        "disk": (added["disk"] / 1e6, disk / 1e6),
        "oplog": (added["oplog"] / 1e6, trial["oplog"] / 1e6),
        "memory": (sizes.memory(constants, executors) / 1e6, trial["peak"]),
    }


def _errors(cases: Sequence[Document]) -> dict[str, float]:
    """By what share nine in ten predictions were off at most."""
    found = {}
    for name in ("seconds", *SIDES, "disk", "oplog", "memory"):
        off = [abs(log(each[name][0] / each[name][1])) for each in cases]
        found[name] = round(max(LEAST_ERROR, float(np.expm1(np.quantile(off, 0.9)))), 3)
    return found
