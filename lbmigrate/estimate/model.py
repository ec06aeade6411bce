"""The model: what each thing costs, and how the costs of client and server come to a time. Pure.

A run has four parts: its setup, events, entries, verification. Of each part the client and the server need so many
processor seconds, a sum of few terms. The time follows from what is scarce: one process, the cores, or the way to the
server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

TOGETHER = 10_000  # events that are read back at a time, whatever the size of a chunk
Side = Literal["client", "server"]
PARTS = ("setup", "events", "entries", "verification")
SHARED_OUT = ("events", "entries")  # to workers, always; the other parts do one thing after another
SIDES: tuple[Side, ...] = ("client", "server")
TRIPS, WRITES = (
    12,
    4,
)  # commands for a chunk, or for the entries of so many events, and how many of them wait for a disk


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done, in numbers of things.

    The server looks at `examined` documents of `kib` KiB in all, and hands over `documents` that meet the filters;
    `apart` of them are scored one by one, the others by their shape. They become `events`; read back are `gathered`
    events, and written `entries`. `indexes` are those of the ledger beyond its own. `scoring` are the processor seconds
    in which the client of this machine scores all of them. The verification draws from all `users`, looks at `verified`
    events of those whom it chose, or at all events, `checked`, and at their `compared` entries; it asks who is first of
    each of the `periods`, and adds up `summed` events and `summed_entries`. `called` of the events are worth what a
    Python function says, which is called once more for each, for `rescoring` seconds in all.
    """

    examined: float = 0.0
    kib: float = 0.0
    documents: float = 0.0
    apart: float = 0.0
    events: float = 0.0
    gathered: float = 0.0
    users: float = 0.0
    entries: float = 0.0
    indexes: int = 0
    scoring: float = 0.0
    verified: float = 0.0
    compared: float = 0.0
    summed: float = 0.0
    summed_entries: float = 0.0
    checked: float = 0.0
    periods: float = 0.0
    called: float = 0.0
    rescoring: float = 0.0
    event_bytes: float = 0.0
    entry_bytes: float = 0.0

    @property
    def looks(self) -> bool:
        """Whether there is a verification."""
        return self.verified > 0 or self.checked > 0

    @property
    def parts(self) -> dict[str, bool]:
        """Which parts there are."""
        some = self.documents > 0 or self.gathered > 0
        return {
            "setup": self.examined > 0 or some or self.looks, "events": self.examined > 0, "entries": some,
            "verification": self.looks,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Executors:
    """What works on the chunks: so many threads, or processes with one thread each."""

    workers: int = 2
    processes: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """How fast client and server are, as times of the reference (2 is half as fast), and what they have.

    `busy` is how much longer than its processor time a calculation takes on this machine now. Seconds: `trip` to the
    server and back, `journal` until a majority has a write on its disks. `shared` says that both sides have the same
    cores.
    """

    client: float = 1.0
    server: float = 1.0
    busy: float = 1.0
    cores: int = 2
    server_cores: int = 2
    shards: int = 1
    shared: bool = True
    trip: float = 0.0
    journal: float = 0.0


@dataclass(frozen=True, slots=True)
class Term:
    """So many of a thing, each of which costs one of the two sides something in one part of a run."""

    part: str
    side: Side
    thing: str
    words: str
    amount: Callable[[Work, Executors], float]


def _led(work: Work, _: Executors) -> float:
    """The periods of whose first a verification asks: one of everybody asks of none."""
    return work.periods if work.verified else 0.0


TERMS = (
    Term("setup", "client", "run", "starting the program, steps 1 to 3 and 6", lambda _, __: 1),
    Term("setup", "server", "run", "what these ask for", lambda _, __: 1),
    Term("events", "client", "document", "reading a document, handing its event on", lambda w, _: w.documents),
    Term("events", "client", "apart", "the same of one that is scored by itself", lambda w, _: w.apart),
    Term("events", "client", "process", "starting a worker process", lambda _, e: e.workers if e.processes else 0),
    Term("events", "client", "run", "what every run does", lambda _, __: 1),
    Term("events", "server", "examined", "looking at a document", lambda w, _: w.examined),
    Term("events", "server", "kib", "each KiB of it", lambda w, _: w.kib),
    Term("events", "server", "event", "writing an event and its index", lambda w, _: w.events),
    Term("events", "server", "apart", "the same of one that comes by itself", lambda w, _: min(w.apart, w.events)),
    Term("events", "server", "index", "each index more of an event", lambda w, _: w.events * w.indexes),
    Term("events", "server", "run", "what every run asks for", lambda _, __: 1),
    Term("entries", "client", "event", "reading an event back, adding it up", lambda w, _: w.gathered),
    Term("entries", "client", "entry", "an entry", lambda w, _: w.entries),
    Term("entries", "client", "period", "what is done once for a period", lambda w, _: w.periods),
    Term("entries", "client", "run", "what every run does", lambda _, __: 1),
    Term("entries", "server", "event", "handing an event over", lambda w, _: w.gathered),
    Term("entries", "server", "entry", "writing an entry and its indexes", lambda w, _: w.entries),
    Term("entries", "server", "period", "what is asked once for a period", lambda w, _: w.periods),
    Term("entries", "server", "run", "what every run asks for", lambda _, __: 1),
    Term("verification", "client", "verified", "an event of a user who was chosen", lambda w, _: w.verified),
    Term("verification", "client", "checked", "an event where all are looked at", lambda w, _: w.checked),
    Term("verification", "client", "compared", "an entry of such users", lambda w, _: w.compared),
    Term("verification", "client", "called", "a table row for a Python function", lambda w, _: w.called),
    Term("verification", "client", "user", "drawing from a user", lambda w, _: w.users),
    Term("verification", "client", "period", "asking who is first of a period", _led),
    Term("verification", "client", "run", "what every verification does", lambda _, __: 1),
    Term("verification", "server", "verified", "an event of a user who was chosen", lambda w, _: w.verified),
    Term("verification", "server", "checked", "an event where all are looked at", lambda w, _: w.checked),
    Term("verification", "server", "compared", "an entry of such users", lambda w, _: w.compared),
    Term("verification", "server", "period", "telling who is first of a period", _led),
    Term("verification", "server", "event", "adding up an event", lambda w, _: w.summed),
    Term("verification", "server", "entry", "adding up an entry", lambda w, _: w.summed_entries),
    Term("verification", "server", "run", "what every verification asks for", lambda _, __: 1),
)

Micros = Mapping[str, Mapping[str, Mapping[str, float]]]  # part, side, thing


def terms_of(part: str, side: str) -> list[Term]:
    """The terms whose sum is what one side needs for one part."""
    return [term for term in TERMS if (term.part, term.side) == (part, side)]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How work of several workers overlaps, fitted to the clock.

    `threads` of one process come to so many cores of Python together. `background` is the share of the server's work
    that no worker waits for. Of several limits the narrowest counts, and others that are near it some more: the higher
    `sharpness` is, the less.
    """

    threads: float = 1.2
    background: float = 0.2
    sharpness: float = 4.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a run takes: processor seconds of both sides, seconds on the clock, and what limits it.

    `shared` is whether workers share it; else one of them does one thing after another.
    """

    name: str
    client: float
    server: float
    seconds: float
    limit: str
    shared: bool = True


def costs(micros: Micros, part: str, side: Side, work: Work, executors: Executors, speed: float) -> float:
    """Processor seconds of one side for one part, without the scoring, on a machine of this speed."""
    if not work.parts[part]:
        return 0.0
    found = sum(micros[part][side][term.thing] * term.amount(work, executors) for term in terms_of(part, side))
    return found * speed / 1e6


def part(
    micros: Micros, overlap: Overlap, name: str, work: Work, executors: Executors, machine: Machine, piece: float
) -> Part:
    """What one part takes where a chunk has `piece` documents."""
    client = costs(micros, name, "client", work, executors, machine.client)
    server = costs(micros, name, "server", work, executors, machine.server)
    client += {"events": work.scoring, "verification": work.rescoring}.get(name, 0.0)
    pieces = {"setup": 1.0, "events": work.examined / piece}.get(name, work.gathered / TOGETHER)
    # On one machine a trip is processor time, of which both sides have theirs.
    trip = 0.0 if machine.shared else machine.trip
    waits = max(1.0, pieces) * (TRIPS * trip + WRITES * machine.journal) if work.parts[name] else 0.0
    shared = is_shared_out(name, work, executors)
    hands = executors if shared else Executors(1)
    taken = limits(overlap, client, server, waits, hands, machine)
    seconds = min(softened(list(taken.values()), overlap.sharpness), client + server + waits)  # one after another
    return Part(name, client, server, seconds * machine.busy, max(taken, key=lambda each: taken[each]), shared)


def is_shared_out(name: str, work: Work, executors: Executors) -> bool:
    """Whether workers share a part: a full verification is shared out to processes, and one thread does any other."""
    return name in SHARED_OUT or (name == "verification" and work.checked > 0 and executors.processes)


def limits(
    overlap: Overlap, client: float, server: float, waits: float, executors: Executors, machine: Machine
) -> dict[str, float]:
    """The seconds that each thing that may be scarce would need by itself; the longest is what limits."""
    hands = executors.workers
    one = min(hands, machine.cores) if executors.processes else min(hands, overlap.threads, machine.cores)
    there = machine.server_cores * machine.shards
    found = {
        "client": client / one,
        "server": server / there,
        "workers": (client + (1 - overlap.background) * server + waits) / hands,
    }
    if machine.shared:
        found["cores"] = (client + server) / machine.cores
    return found


def softened(times: list[float], sharpness: float) -> float:
    """The longest time, and somewhat more where others are nearly as long."""
    longest = max(times)
    return longest * sum((each / longest) ** sharpness for each in times) ** (1 / sharpness) if longest > 0 else 0.0
