"""What follows from an estimate: how many workers are worth it, what pace leaves the server room, what may run out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate.checks.finding import Finding
from lbmigrate.estimate.estimate import Estimate, predicted
from lbmigrate.estimate.fitted import Fitted, fitted
from lbmigrate.estimate.model import Executors, Part
from lbmigrate.records import amount

NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
WORTH = 1.05  # times as long as with the best number of workers is as good
BETTER = 0.85  # times as long as with threads, from which on processes are worth their memory
ROOM = 0.5  # of the server's cores that a run should leave to the app
BUSY = 1.3
LIMITS = {
    "client": "Python, in which the threads of a process take turns",
    "server": "the server's cores",
    "workers": "the number of workers",
    "cores": "the cores that client and server share",
}
PROCESSES = "the cores of this machine"
ALONE = "one worker, as a verification has"


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of workers of one kind, the seconds with them, and what is the limit then."""

    executors: Executors
    seconds: float
    limit: str


def findings(found: Estimate, constants: Fitted | None = None) -> list[Finding]:
    """A sentence each, with what to do about it where something can be done."""
    if not found.seconds.likely:
        return []
    constants = constants or fitted()
    told = [*_workers(found, constants), *_load(found), *_oplog(found), *_disk(found), *_busy(found)]
    return [*told, *(Finding("ok", "not measured", each) for each in found.assumed)]


def limit_of(part: Part, executors: Executors) -> str:
    """What limits a part, in words."""
    if part.name == "verification" and part.limit in ("client", "workers"):
        return ALONE
    return PROCESSES if part.limit == "client" and executors.processes else LIMITS[part.limit]


def best(found: Estimate, constants: Fitted, processes: bool) -> Choice:
    """The fewest workers of this kind with which it takes hardly longer than with the best number of them."""
    choices = [_choice(found, constants, Executors(number, processes)) for number in NUMBERS]
    least = min(choice.seconds for choice in choices)
    return next(choice for choice in choices if choice.seconds <= WORTH * least)


def _choice(found: Estimate, constants: Fitted, executors: Executors) -> Choice:
    parts = predicted(constants, found.work, executors, found.calibration.machine)
    longest = max(parts[:-1], key=lambda part: part.seconds)  # the last is the verification, which has one worker
    return Choice(executors, sum(part.seconds for part in parts), limit_of(longest, executors))


def _workers(found: Estimate, constants: Fitted) -> Iterator[Finding]:
    here, now = best(found, constants, found.executors.processes), _choice(found, constants, found.executors)
    number, kind = here.executors.workers, "process" if found.executors.processes else "thread"
    if now.seconds <= WORTH * here.seconds and number >= now.executors.workers:
        number, here = now.executors.workers, now
    fact = f"more than {amount(number, kind)} bring next to nothing: the limit is {here.limit}"
    fix = f"lbmigrate run{_executor(found)} --workers {number}" if number != now.executors.workers else ""
    yield Finding("ok", "workers", f"{fact}; with {number} it takes about {duration(here.seconds)}", fix)
    other = best(found, constants, True)
    if not found.executors.processes and other.seconds < BETTER * here.seconds:
        number = other.executors.workers
        fact = f"with {amount(number, 'process')} it would take about {duration(other.seconds)}"
        yield Finding("ok", "processes", fact, f"lbmigrate run --executor processes --workers {number}")


def _executor(found: Estimate) -> str:
    return f" --executor {found.executor}" if found.executors.processes else ""


def _load(found: Estimate) -> Iterator[Finding]:
    machine, seconds = found.calibration.machine, found.seconds.likely
    cores = machine.server_cores * machine.shards
    share = found.server.likely / seconds / cores
    fact = f"the server works on this with {share * cores:.1f} of its {cores} cores"
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
        yield Finding("ok", "oplog", f"about {size(found.oplog.likely)} go into it; the server does not tell its size")
        return
    fact = f"it has room for {size(oplog.size)}, which is {spoken(hours)} at the rate of this run"
    if found.oplog.high <= oplog.size:
        yield Finding("ok", "oplog", fact)
        return
    fact += f"; the run writes {size(found.oplog.likely)}: who is away longer than that finds no way back"
    hours_needed = max(24.0, oplog.hours)
    fix = f"make it larger: db.adminCommand({{replSetResizeOplog: 1, size: {_megabytes(found)}}}); it is in MB"
    yield Finding("warning", "oplog", fact, fix if hours < hours_needed else "")


def _megabytes(found: Estimate) -> int:
    return max(990, -(-int(2 * found.oplog.high) // 1_000_000))


def _disk(found: Estimate) -> Iterator[Finding]:
    free = found.surroundings.free
    if free is not None and found.disk.high > free:
        fact = f"{size(found.disk.high)} may be written, and {size(free)} are free"
        yield Finding("warning", "disk", fact, "make room on the server's disk")


def _busy(found: Estimate) -> Iterator[Finding]:
    busy = found.calibration.machine.busy
    if busy > BUSY:
        fact = f"this machine does other work: a calculation took {busy:.1f} times its processor time, and so will this"
        yield Finding("warning", "this machine", fact, "estimate once more when it is idle")


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
