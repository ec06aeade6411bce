"""The page about size: what the model of `plan --estimate` is, what was measured, and what it says of larger sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs._generate.tables import table
from lbmigrate.estimate import estimate, sample, users, yardstick
from lbmigrate.estimate.advice import duration, size
from lbmigrate.estimate.estimate import predicted
from lbmigrate.estimate.fitted import Fitted, fitted
from lbmigrate.estimate.model import TERMS, Executors, Machine, Part, Work
from lbmigrate.estimate.sizes import bytes_of, memory
from lbmigrate.estimate.verifying import summed_of
from lbmigrate.records import amount

DONE, PER_USER, ENTRIES, KIB = 0.7, 49, 0.66, 0.2  # of the table: as the measured cases have them
VERIFIED = 1_300  # usual users who have as many events as the 300 who are drawn and the first of each week together
PERIODS = 80
LARGEST = 200_000  # documents of a measured case
CORES, SERVER_CORES, TRIP = 16, 8, 0.0005
SIZES = (10**7, 10**8, 10**9, 10**10)
SHARDS = (1, 4, 16)
WAYS = ((1, Executors(2)), (1, Executors(16, processes=True)), (4, Executors(64, processes=True)))  # hosts, and workers

HEAD = """# Scale: what a run takes, told before it begins

    lbmigrate plan --estimate
    lbmigrate plan --estimate --executor processes --workers 8

This says for the database at hand, and for such workers, how long a run will take, what it adds to the disk and to
the oplog, how many processor seconds client and server need, how much memory and how many connections: each with
its bounds. It counts only what is left to do. This page is written by the same model from the same constants.

## How an estimate is made

1. **The database is looked at**: counts, average sizes, and at most {documents:,} documents of each source, in
   ranges here and there. They are scored in memory by the very code of a backfill. So a rule costs what it costs, a
   Python function too, and documents that cannot be scored are counted. All events of at most {users} users, read
   by an index on the user, tell how many users and entries events come to. Without such an index that is a guess,
   with wider bounds.
2. **The machine is measured**: three times a fixed calculation on this side, while another core works as well, and,
   where the server is elsewhere, one on the server; and {pings} pings. The costs below are those of a reference
   machine, and are scaled by what this one takes.
3. **The server is asked** for its cores, its shards, its free disk and its oplog. What this database user may not
   ask is told.

Looking at documents and at users takes {wait:.0f} seconds each at most, and nothing is written. So writing is not
tried: where a disk is much slower than the processor beside it, a run takes longer than is told. A backup and boards
in Redis are not part of it.

## How wide the bounds are

The share by which an estimate may be off is put together from what is known to make one wrong:

| what | how it is told |
|---|---|
| the model | nine in ten of the measured cases below were no further off |
| users and entries | how much the users who were looked at differ from each other |
| other programs on this machine | the calculation takes longer on the clock than it uses of the processor |
| a speed that moves | the three calculations, from the fastest to the slowest |
| a machine unlike the reference | the further it is from that, the less sure all work is as much slower or faster |
| a size that was not measured | {further:.0%} for each power of ten beyond the largest measured database |

Other programs may end a moment later, or become twice as many. So on a machine that is twice as slow as it could be,
the upper bound is twice what is likely, and the lower one half of it. What begins when the estimate has been made is in
no bound. `calibration.doubts` of `--json` has what yardsticks saw, for the processor times and for the clock.

## The model

A run has four parts, and in each of them both sides need processor time, a sum of few terms:

"""
TIME = """
Scoring is not among them: it is measured each time. A plain rule took {scoring:.1f} µs a document on the reference
machine.

The time of a part is the longest of these, and somewhat more where others are nearly as long:

| what may be scarce | seconds |
|---|---|
| Python | client / workers. Threads of one process come to {threads:g} times a core, processes to all cores |
| the server | server / (its cores × shards) |
| the workers | (client + {waited:.0%} of server + waits) / workers, for a worker waits for each of its commands |
| the cores | (client + server) / cores, where both are on one machine |

The setup and a verification have one worker: there client, server and waits come one after another. Only a full
verification is shared out, and that to processes, not to threads. A machine that others keep busy makes everything
longer by as much as its calculation.

Waits are round trips (12 for each chunk), where the server is on another machine, and journals (4 for each chunk,
{journal:.1f} ms on the reference machine).

On the disk an event takes {event:.0f} bytes and an entry {entry:.0f}, compressed and with indexes; each index more
of the ledger takes {index:.0f} bytes an event. That is what `collStats` tells (`storageSize` and `totalIndexSize`)
when all of it is on the disk: the server writes it there once a minute (a checkpoint), or at the command `fsync`.
Right after a short run a half or a quarter of it is there, and the rest in the journal. Beside that the server needs
room for its journal, files of 100 MB each that it makes in advance, and for its oplog, whose documents it compresses
as well. In the oplog, as its size is counted, an event is {event_oplog:.0f} bytes, {apart_oplog:.0f} more where it is
scored by itself, and an entry {entry_oplog:.0f}.

## Measured

On {date}: {machine}. Each case is predicted / measured. Those that are held back were not in the fit: they were
predicted as the command does it, from a sample of their documents.

No constant was fitted to them, but which terms a verification has was decided with them in view. `python -m
benchmarks.estimate.check` compares other cases as an operator would: it fills a database, asks for an estimate, types
`lbmigrate run`, and prints what was told beside what was taken.

"""
LARGER = """
Nine in ten were off by no more than: time {seconds:.0%}, client {client:.0%}, server {server:.0%}, disk {disk:.0%},
oplog {oplog:.0%}, memory {memory:.0%}. Those are the bounds that the command shows, and wider ones where it had to
guess. `python -m benchmarks.estimate` measures all of it again, and writes the constants.

## Extrapolated

**Nothing in this table was measured**: its smallest size has {times} times as many documents as the largest case.
It is the same model for plain tasks, of which {done:.0%} become events, {per_user} for each user; client and server
on machines of their own, with cores like those of the reference machine, {server_cores} for each shard and {cores}
for the client, {trip:.1f} ms between them. Shards are taken as servers that share the work evenly, and memory and
disks as fast enough. An index that does not fit into memory any more makes each insert slower; expect that from
about 10^9 events a shard on.

"""
FOOT = """
Threads of one process are held up by Python, whatever the number of shards: take processes, and several hosts, for
more ([more than one process](../../runbooks/scale.md)). A backfill may be stopped and gone on with at any time.
"""


def page() -> str:
    """The text of the page."""
    constants = fitted()
    lines = [
        _filled(HEAD, constants).rstrip(),
        "",
        *table(("part", "side", "what costs", "µs each"), _costs(constants)),
    ]
    lines += [_filled(TIME, constants).strip(), "", *table(HEADS, _compared(constants))]
    lines += [_filled(LARGER, constants).strip(), "", *table(COLUMNS, _larger(constants)), FOOT.strip()]
    return "\n".join(lines).rstrip() + "\n"


HEADS = ("case", "", "seconds", "client s", "server s", "disk MB", "oplog MB")
COLUMNS = (
    "events", "shards", "2 threads", "16 processes", "64 on four hosts", "of it verification", "server's processor",
    "disk", "oplog", "memory of 16",
)  # fmt: skip


def _filled(text: str, constants: Fitted) -> str:
    bytes_, overlap = constants.bytes, constants.overlap
    known = {
        "documents": sample.MOST, "users": users.USERS, "pings": yardstick.PINGS, "wait": estimate.SECONDS,
        "further": estimate.FURTHER,
        "scoring": constants.yardsticks["scoring"] * 1e6, "threads": overlap.threads, "background": overlap.background,
        "waited": 1 - overlap.background, "journal": constants.journal * 1e3, "index": bytes_["index"],
        "event": bytes_["event"] * bytes_["event_compression"] + bytes_["event_indexes"],
        "entry": bytes_["entry"] * bytes_["entry_compression"] + bytes_["entry_indexes"],
        "event_oplog": bytes_["event"] + bytes_["event_oplog"], "entry_oplog": bytes_["entry"] + bytes_["entry_oplog"],
        "apart_oplog": bytes_["apart_oplog"],
        "date": constants.date, "machine": _machine(constants.machine), "times": SIZES[0] // LARGEST,
        "done": DONE, "per_user": PER_USER, "server_cores": SERVER_CORES, "cores": CORES, "trip": TRIP * 1e3,
    }  # fmt: skip
    return text.format(**known, **constants.errors)


def _machine(machine: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {machine[name]}" for name in ("numpy", "pandas", "pymongo") if name in machine)
    made = f"{machine['cores']} cores, Python {machine['python']}, MongoDB {machine['mongod']}"
    return f"{made}, {libraries}; {machine['server']}"


def _costs(constants: Fitted) -> Iterator[list[str]]:
    for term in TERMS:
        yield [term.part, term.side, term.words, f"{constants.micros[term.part][term.side][term.thing]:,.1f}"]


def _compared(constants: Fitted) -> Iterator[list[str]]:
    for title, cases in (("fitted", constants.cases), ("held back", constants.held_back)):
        for each in cases:
            names = ("seconds", "client", "server", "disk", "oplog")
            yield [_shape(each["case"]), title, *(_beside(*each[name]) for name in names)]


def _shape(case: Mapping[str, Any]) -> str:
    workers = amount(case["workers"], "process" if case["executor"] == "processes" else "thread")
    return f"{case['name']}: {case['docs']:,} documents, {case['per_user']} a user, {workers}"


def _beside(told: float, taken: float) -> str:
    return f"{told:.1f} / {taken:.1f} ({told / taken - 1:+.0%})"


def work_of(events: int, constants: Fitted) -> Work:
    """So many events of plain tasks."""
    documents = events / DONE
    return Work(
        examined=documents, kib=documents * KIB, documents=events, events=events, gathered=events,
        users=events / PER_USER, entries=ENTRIES * events, scoring=events * constants.yardsticks["scoring"],
        verified=VERIFIED * PER_USER, compared=VERIFIED * PER_USER * ENTRIES, periods=PERIODS,
        summed=summed_of(events), summed_entries=ENTRIES * summed_of(events),
    )  # fmt: skip


def _larger(constants: Fitted) -> Iterator[list[str]]:
    for events in SIZES:
        for shards in SHARDS:
            yield _line(constants, work_of(events, constants), shards)


def _line(constants: Fitted, work: Work, shards: int) -> list[str]:
    ways = [predicted(constants, work, executors, _cluster(constants, shards, hosts)) for hosts, executors in WAYS]
    sizes = bytes_of(constants, work)
    return [
        f"10^{len(str(round(work.events))) - 1}", str(shards), *(duration(_seconds(parts)) for parts in ways),
        duration(ways[0][-1].seconds), duration(sum(part.server for part in ways[0])),
        size(sizes["disk"]), size(sizes["oplog"]), size(memory(constants, WAYS[1][1])),
    ]  # fmt: skip


def _cluster(constants: Fitted, shards: int, hosts: int) -> Machine:
    return Machine(
        cores=CORES * hosts, server_cores=SERVER_CORES, shards=shards, shared=False, trip=TRIP,
        journal=constants.journal,
    )  # fmt: skip


def _seconds(parts: tuple[Part, ...]) -> float:
    return sum(part.seconds for part in parts)
