"""The checks of a server and of what is kept on it, asked of the server itself; nothing is ever tried by writing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from lbmigrate.checks import boards, data, placing, rights, topology
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.errors import Refused
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context, utc_now
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.state import runs
from lbmigrate.state.lease import describe, is_held
from lbmigrate.state.statuses import RunStatus

OLDEST = (4, 4)
UPGRADE = "upgrade to MongoDB 4.4 or newer"
CLOCK_SECONDS = 5.0
EVENT_BYTES, ENTRY_BYTES = 420, 520  # on disk with their indexes, uncompressed: an estimate on the safe side
FIXED = {(4, 4): 30, (5, 0): 32, (6, 0): 27, (7, 0): 28, (8, 0): 17, (8, 2): 3}  # CVE-2025-14847, by release series
LEAK = "CVE-2025-14847 lets whoever can connect read pieces of its memory, without a password"
COMPRESSORS = "snappy,zstd,zlib"  # what a server takes that was told nothing
ROOM = 1.5  # free space that is wanted for each byte estimated


def check_everything(context: Context, verb: str = "run", *, bounded: bool = True) -> list[Finding]:
    """What `doctor` shows and what `verb` looks at first, a line for each thing looked at, the fine ones included.

    The server and the rights come first, and alone where the rest may not be read. Of the rights those of `verb` are
    judged: who may backfill need not be allowed to drop anything. `bounded` is as in `check_data`: for a verb that is
    about to start, which hears of nothing but what forbids it.
    """
    return retrying(lambda: _everything(context, verb, bounded))


def _everything(context: Context, verb: str, bounded: bool) -> list[Finding]:
    if is_fake(context.sources):
        return [Finding("ok", "server", "in memory"), *data.check_data(context, bounded=bounded)]
    told = [
        *_server(context.sources),
        *(() if bounded else topology.findings(context)),
        *(() if bounded else _clock(context.sources)),
        *rights.findings(context, verb),
    ]
    if any(finding.level == "refusal" and finding.subject == rights.READING for finding in told):
        return told
    told += [*_disk(context), *(() if bounded else boards.findings(context)), *_leftovers(context)]
    told += [] if bounded else [*_runs(context), *placing.findings(context)]
    return [*told, *data.check_data(context, bounded=bounded)]


def _server(database: Database[Any]) -> Iterator[Finding]:
    version = database.client.server_info()["version"]
    hello = database.command("hello")
    level: Level = "ok" if tuple(map(int, version.split(".")[:2])) >= OLDEST else "refusal"
    yield Finding(level, "server", f"MongoDB {version}, {_topology(hello)}", "" if level == "ok" else UPGRADE)
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        fact = "a standalone server keeps no oplog: no failover, and `tail` cannot follow it"
        yield Finding(
            "warning", "server", fact, "make it a replica set of one with rs.initiate(), or record from the app"
        )
    if level == "ok":
        yield from _leak(database, version)


def _leak(database: Database[Any], version: str) -> Iterator[Finding]:
    """A server whose version gives its memory away, unless it takes no zlib compression."""
    major, minor, patch = (int(number) for number in re.findall(r"\d+", version)[:3])
    fixed = min((series for series in FIXED if series >= (major, minor)), default=None)
    if fixed is None or (fixed == (major, minor) and patch >= FIXED[fixed]):
        return
    try:
        told = database.client.admin.command("getCmdLineOpts")["parsed"].get("net", {}).get("compression", {})
        taken = str(told.get("compressors", COMPRESSORS))
    except (PyMongoError, LookupError):
        taken = ""
    if taken and "zlib" not in taken:
        return
    more = "it takes zlib compression" if taken else "unless zlib compression is off, which this user may not ask"
    upgrade = f"upgrade to MongoDB {fixed[0]}.{fixed[1]}.{FIXED[fixed]} or newer"
    yield Finding(
        "warning",
        "server",
        f"MongoDB {version}: {LEAK}; {more}",
        f"{upgrade}, or start every mongod with --networkMessageCompressors=snappy,zstd",
    )


def _topology(hello: Document) -> str:
    if hello.get("msg") == "isdbgrid":
        return "a sharded cluster"
    if "setName" in hello:
        return f"replica set {hello['setName']} of {amount(len(hello.get('hosts', [])), 'member')}"
    return "standalone"


def _clock(database: Database[Any]) -> Iterator[Finding]:
    before = utc_now()
    server = server_time(database)
    middle = before + (utc_now() - before) / 2
    seconds = (server - middle).total_seconds()
    fact = f"the server's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this host's"
    level: Level = "ok" if abs(seconds) <= CLOCK_SECONDS else "warning"
    yield Finding(level, "clock", fact, "" if level == "ok" else "check NTP; backfill.lag must be longer than this")


def _disk(context: Context) -> Iterator[Finding]:
    needed = sum(context.sources[source.collection].estimated_document_count() for source in context.config.sources) * (
        EVENT_BYTES + ENTRY_BYTES
    )
    try:
        stats = context.target.command("dbStats")
        free = int(stats["fsTotalSize"] - stats["fsUsedSize"])
    except (PyMongoError, KeyError):
        yield Finding("warning", "disk", "the server does not say how much is free", "look for yourself before you run")
        return
    fact = f"{_size(free)} free, about {_size(needed)} to be written at most"
    level: Level = "ok" if free > ROOM * needed else "refusal" if free < needed else "warning"
    yield Finding(level, "disk", fact, "" if level == "ok" else "make room on the server's disk")


def _size(number: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def _leftovers(context: Context) -> Iterator[Finding]:
    """Collections of our names that this migration did not make, and a state that another version wrote."""
    try:
        context.state.check_layout()
    except Refused as error:
        yield Finding("refusal", "leftovers", error.message, error.hint)
    made = set(context.state.step(1).get("made", []))
    for name in (EVENTS, ENTRIES):
        count = context.target[name].estimated_document_count()
        if name not in made and count:
            fact = f"{name} was here before, with {amount(count, 'document')}; they stay, and well-formed events count"
            yield Finding("warning", "leftovers", fact, f"look at db.{name}.findOne() before you run")


def _runs(context: Context) -> Iterator[Finding]:
    lock, now = context.state.get("lock"), server_time(context.state.rows.database)
    if is_held(lock, now):
        yield Finding("warning", "lock", *describe(lock))
    else:
        yield Finding("ok", "lock", "free")
    if paused := context.state.get("control").get("paused"):
        fact = f"paused by {paused['by']} since {paused['at']:%Y-%m-%dT%H:%M:%SZ}"
        yield Finding("warning", "control", fact, "lbmigrate resume")
    last = runs.recent(context.state, now, 1)
    if last and last[0].get("outcome") not in (RunStatus.DONE, RunStatus.RUNNING) and not runs.was_told_to(last[0]):
        verb, outcome, error = (last[0].get(name) or "?" for name in ("verb", "outcome", "error"))
        fact = f"the last run ({verb}) ended in {outcome}: {error[:120]}"
        yield Finding("warning", "last run", fact, runs.way_on(last[0]))
