"""What follows from an estimate: how many workers are worth it, what pace leaves the server room, what may run out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate.checks.finding import Finding
from lbmigrate.estimate.estimate import Estimate, largest, predicted
from lbmigrate.estimate.fitted import Fitted, fitted
from lbmigrate.estimate.model import Executors, Part
from lbmigrate.records import amount

NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
WORTH = 1.05  # times as long as with the best number of workers is as good
NOTICED = 1.0  # seconds: who would mind less?
BETTER = 0.85  # times as long as with threads, from which on processes are worth their memory
ON_DISK = 0.2  # bytes that a byte of the oplog takes there
HELD = 0.5  # of the time that a throttle adds, from which on it alone counts
ROOM = 0.5  # of the server's cores that a run should leave to the app
BUSY = 1.3
LIMITS = {
    "client": "Python, in which the threads of a process take turns",
    "server": "the server's cores",
    "workers": "workers that wait for the server",
    "cores": "the cores that client and server share",
}
PROCESSES = "the cores of this machine"
ALONE = {"setup": "one step after another", "verification": "one worker, as a verification has"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of workers of one kind, the seconds with them, and what is the limit then."""

    executors: Executors
    seconds: float
    limit: str


def findings(found: Estimate, constants: Fitted | None = None) -> list[Finding]:
    """A sentence each, with what to do about it where something can be done."""
    left_out = [Finding("ok", "not in it", each) for each in found.left_out]
    if not found.seconds.likely:
        return left_out
    constants = constants or fitted()
    told = [*_secondary(found), *_workers(found, constants), *_load(found), *_oplog(found), *_disk(found)]
    told += [*_busy(found), *_beyond(found, constants)]
    return [*told, *(Finding("ok", "not measured", each) for each in found.assumed), *left_out]


def limit_of(part: Part, executors: Executors) -> str:
    """What limits a part, in words."""
    if not part.shared and part.limit in ("client", "workers"):
        return ALONE[part.name]
    return PROCESSES if part.limit == "client" and executors.processes else LIMITS[part.limit]


def best(found: Estimate, constants: Fitted, processes: bool) -> Choice:
    """The fewest workers of this kind with which it takes hardly longer than with the best number of them."""
    choices = [_choice(found, constants, Executors(number, processes)) for number in NUMBERS]
    least = min(choice.seconds for choice in choices)
    return next(choice for choice in choices if choice.seconds <= WORTH * least)


def _choice(found: Estimate, constants: Fitted, executors: Executors) -> Choice:
    parts = predicted(constants, found.work, executors, found.calibration.machine, found.chunk_size)
    longest = max((part for part in parts if part.shared), key=lambda part: part.seconds)
    return Choice(executors, sum(part.seconds for part in parts) + found.held_back, limit_of(longest, executors))


def _workers(found: Estimate, constants: Fitted) -> Iterator[Finding]:
    if not any(part.seconds for part in found.parts if part.shared):
        return
    if found.held_back > HELD * found.seconds.likely:
        fact = "the throttle decides how long it takes, and more workers bring nothing"
        yield Finding("ok", "workers", fact, "to be faster: a higher `throttle` in the configuration")
        return
    threads = best(found, constants, False)
    if found.executors.processes and threads.seconds <= _choice(found, constants, found.executors).seconds:
        told = amount(threads.executors.workers, "thread")
        fact = f"{told} of one process would take about {duration(threads.seconds)}, no longer than processes"
        yield Finding("ok", "workers", fact, f"lbmigrate run --workers {threads.executors.workers}")
        return
    yield _enough(found, constants)
    other = best(found, constants, True)
    if not found.executors.processes and other.seconds + NOTICED < BETTER * found.seconds.likely:
        number = other.executors.workers
        fact = f"with {amount(number, 'process')} it would take about {duration(other.seconds)}"
        yield Finding("ok", "processes", fact, f"lbmigrate run --executor processes --workers {number}")


def _enough(found: Estimate, constants: Fitted) -> Finding:
    """How many workers are worth it, and what keeps more of them from being faster."""
    processes = found.executors.processes
    here, now = best(found, constants, processes), _choice(found, constants, found.executors)
    told, given = (amount(each.executors.workers, "process" if processes else "thread") for each in (here, now))
    most = _choice(found, constants, Executors(NUMBERS[-1], processes)).limit
    more = f"more would wait for {most}" if most != LIMITS["workers"] else f"{NUMBERS[-1]} is the most there can be"
    fix = f"lbmigrate run{_executor(found)} --workers {here.executors.workers}"
    if now.seconds > max(WORTH * here.seconds, here.seconds + NOTICED):
        times = f"about {duration(here.seconds)} instead of {duration(now.seconds)}"
        return Finding("ok", "workers", f"with {told} it would take {times}; {more}", fix)
    if here.executors.workers < now.executors.workers:
        return Finding("ok", "workers", f"{told} would be about as fast as {given}; {more}", fix)
    return Finding("ok", "workers", f"{given}: that is enough, {more}")


def _executor(found: Estimate) -> str:
    return f" --executor {found.executor}" if found.executors.processes else ""


def _secondary(found: Estimate) -> Iterator[Finding]:
    if not found.surroundings.primary:
        fact = "this server is a secondary, which takes no writes: a run is not possible here"
        yield Finding(
            "warning", "server", fact, "name all members of the set: --uri 'mongodb://A,B,C/?replicaSet=NAME'"
        )


def _beyond(found: Estimate, constants: Fitted) -> Iterator[Finding]:
    if found.beyond > 1:
        most = amount(largest(constants), "document")
        fact = f"the largest database that was measured had {most}: here the same model goes further, with wider bounds"
        yield Finding("ok", "extrapolated", fact)


def _load(found: Estimate) -> Iterator[Finding]:
    machine, seconds = found.calibration.machine, found.seconds.likely
    cores = machine.server_cores * machine.shards
    share = found.server.likely / seconds / cores
    used = f"{share * cores:.1f}" if share * cores >= 0.05 else "less than 0.1"
    fact = f"the server uses {used} of its {amount(cores, 'core')} for this"
    if share <= ROOM or not found.work.documents:
        yield Finding("ok", "load", fact)
        return
    pace = found.work.documents / (found.server.likely / (ROOM * cores))
    fix = f"to leave half of them to the app: throttle: {{documents_per_second: {_round(pace)}}} in the configuration"
    yield Finding("ok", "load", fact, fix)


def _round(number: float) -> int:
    """Two digits are as many as are known."""
    unit = int(10 ** max(0, len(str(int(number))) - 2))
    return max(1, int(number) // unit * unit)


def hours_at_this_rate(found: Estimate) -> float | None:
    """How many hours the oplog holds while the run goes on; None where that is not known."""
    oplog = found.surroundings.oplog
    if oplog is None or not found.oplog.likely or not found.seconds.likely:
        return None
    return oplog.size / (found.oplog.likely / found.seconds.likely) / 3600


def _oplog(found: Estimate) -> Iterator[Finding]:
    oplog, hours = found.surroundings.oplog, hours_at_this_rate(found)
    if oplog is None or hours is None:
        yield Finding(
            "ok", "oplog", f"the run writes {size(found.oplog.likely)}; the server does not tell how much it holds"
        )
        return
    fact = f"the run writes {size(found.oplog.likely)}; it holds {size(oplog.size)}, {spoken(hours)} at that rate"
    if found.oplog.high <= oplog.size:
        yield Finding("ok", "oplog", fact)
        return
    fact += ": a secondary or a `tail` that is away for longer has to start over"
    hours_needed = max(24.0, oplog.hours)
    fix = f"make it larger: db.adminCommand({{replSetResizeOplog: 1, size: {_megabytes(found)}}}); it is in MB"
    yield Finding("warning", "oplog", fact, fix if hours < hours_needed else "")


def _megabytes(found: Estimate) -> int:
    return max(990, -(-int(2 * found.oplog.high) // 1_000_000))


def _disk(found: Estimate) -> Iterator[Finding]:
    """Events and entries, and what the oplog grows by, which the server compresses too."""
    free, oplog = found.surroundings.free, found.surroundings.oplog
    needed = found.disk.high + ON_DISK * min(found.oplog.high, oplog.size if oplog else math.inf)
    if free is not None and needed > free:
        fact = f"a run may need {size(needed)}, what the oplog grows by included, and {size(free)} are free"
        yield Finding("warning", "disk", fact, "make room on the server's disk")


def _busy(found: Estimate) -> Iterator[Finding]:
    busy = found.calibration.machine.busy
    if busy > BUSY:
        times = f"from {duration(found.seconds.low)} to {duration(found.seconds.high)}"
        fact = (
            f"it does other work: a calculation took {busy:.1f} times its processor time; so the run may take {times}"
        )
        yield Finding("warning", "this machine", fact, "estimate once more when the machine is idle")


def spoken(hours: float) -> str:
    """Hours in a unit that suits them."""
    if hours < 1:
        return f"{max(1, round(60 * hours))} min"
    return f"{hours:,.0f} h" if hours < 72 else f"{hours / 24:,.0f} d"


def size(number: float) -> str:
    """Bytes in a unit that suits them."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def duration(seconds: float) -> str:
    """A time in a unit that suits it, as exact as an estimate is."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 172_800 else f"{seconds / 86_400:,.1f} d"
