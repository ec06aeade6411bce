"""The estimate: what the model makes of the work that is left, of this machine and of this server, with its error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pymongo.errors import PyMongoError

from lbmigrate.errors import UsageError
from lbmigrate.estimate import model, tasks, yardstick
from lbmigrate.estimate.fitted import Fitted, fitted
from lbmigrate.estimate.model import PARTS, Executors, Machine, Part, Work
from lbmigrate.estimate.sample import Allowance
from lbmigrate.estimate.surroundings import Surroundings, cores_here, surroundings
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Context

SECONDS = 4.0  # that looking at documents may take, and after it looking at users
DIFFER = 0.35  # by how much machines differ, as a share of their speed
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """What is likely, and between which bounds it is with the model's error."""

    low: float
    likely: float
    high: float

    @classmethod
    def around(cls, likely: float, error: float) -> Range:
        """A value that may be wrong by this share."""
        return cls(likely / (1 + error), likely, likely * (1 + error))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How this estimate was made: documents read, users looked at, seconds, and the machine as it was found."""

    documents: int
    users: int
    seconds: float
    machine: Machine


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. Seconds are on the clock, `client` and `server` processor seconds, sizes in bytes.

    `parts` are of the likely time, which `held_back` seconds of a throttle are part of. `oplog` is what goes into it;
    `connections` are the most that are open at a time. `assumed` are sentences on what could not be asked or measured.
    """

    seconds: Range
    client: Range
    server: Range
    disk: Range
    oplog: Range
    memory: Range
    connections: int
    parts: tuple[Part, ...]
    held_back: float
    work: Work
    executors: Executors
    executor: str
    calibration: Calibration
    surroundings: Surroundings
    assumed: tuple[str, ...] = ()

    @property
    def limit(self) -> str:
        """What limits the longest part of the run."""
        return max(self.parts, key=lambda part: part.seconds).limit if self.work.examined or self.work.gathered else ""


def estimate(context: Context, executor: str = "threads", constants: Fitted | None = None) -> Estimate:
    """What is left to do will take so long, with so many workers of this kind as the context has.

    Reads some thousand documents at most, for twice SECONDS at most beside a few commands, and writes nothing. Raises
    UsageError for a database in memory.
    """
    refuse_in_memory(context)
    constants = constants or fitted()
    around = surroundings(context)
    here = yardstick.Client()
    here.take()
    allowance = Allowance(SECONDS)
    found = tasks.readings(context, allowance)
    first = allowance.left
    here.take()
    others = Allowance(SECONDS)
    work, share = tasks.work(context, found, others)
    spent = 2 * SECONDS - first - others.left
    here.take()
    machine, assumed = calibrated(context, here, around, constants)
    unseen = sum(each.documents for each in found if not each.seen.documents)
    work = replace(work, scoring=work.scoring + unseen * constants.yardsticks["scoring"] * machine.client)
    executors = Executors(context.workers, executor != "threads")
    calibration = Calibration(allowance.read, share.looked_at, spent, machine)
    error = math.hypot(constants.errors["seconds"], share.error * _weight(constants, work, executors, machine))
    parts = predicted(constants, work, executors, machine, context.config.backfill.chunk_size)
    held = _held_back(context, work, sum(part.seconds for part in parts))
    loads = {"client": sum(part.client for part in parts), "server": sum(part.server for part in parts)}
    ranges = {
        name: Range.around(likely, math.hypot(constants.errors[name], share.error / 2))
        for name, likely in {**loads, **bytes_of(constants, work)}.items()
    }
    return Estimate(
        seconds=Range.around(sum(part.seconds for part in parts) + held, error),
        client=ranges["client"],
        server=ranges["server"],
        disk=ranges["disk"],
        oplog=ranges["oplog"],
        memory=Range.around(memory(constants, executors), constants.errors["memory"]),
        connections=connections(executors, around.members),
        parts=parts,
        held_back=held,
        work=work,
        executors=executors,
        executor=executor,
        calibration=calibration,
        surroundings=around,
        assumed=(*assumed, *_doubts(context, found, executor, around, constants)),
    )


def refuse_in_memory(context: Context) -> None:
    """Raise UsageError for a database in memory, which no model of a server fits."""
    if is_fake(context.sources) or is_fake(context.target):
        told = "--estimate: a database in memory has no server, and what it takes says nothing of one"
        raise UsageError(told, "leave out --estimate, or name a server: lbmigrate plan --estimate --uri mongodb://HOST")


def calibrated(
    context: Context, here: yardstick.Client, around: Surroundings, constants: Fitted
) -> tuple[Machine, list[str]]:
    """This machine and this server beside those of the reference; what could not be told is taken as there."""
    trip = yardstick.trip(context.sources)
    client, assumed = trusted(here.seconds / constants.yardsticks["client"], constants.drift), []
    server = client if around.shared else _speed(context, trip, constants)
    if server is None:
        assumed.append("how fast the server is could not be measured: taken as the reference machine")
    same = cores_here() if around.shared else int(constants.machine["cores"])
    if around.cores is None:
        whose = "as this machine has" if around.shared else "on each shard" if around.shards > 1 else "as the reference"
        assumed.append(f"the server does not say how many cores it has: taken as {same}, {whose}")
    machine = Machine(
        client=client,
        server=1.0 if server is None else server,
        busy=here.busy,
        cores=cores_here(),
        server_cores=around.cores or same,
        shards=around.shards,
        shared=around.shared,
        trip=trip,
        journal=constants.journal + (trip if around.members > 1 else 0.0),
    )
    return machine, assumed


def _speed(context: Context, trip: float, constants: Fitted) -> float | None:
    """How many times as long as the reference a server of another machine takes; None where nobody can tell."""
    names = dict.fromkeys([*(source.collection for source in context.config.sources), context.config.users.collection])
    for name in names:
        try:
            if (taken := yardstick.server(context.sources[name], trip)) is not None:
                return trusted(taken / constants.yardsticks["server"], constants.drift)
        except PyMongoError:
            continue
    return None


def trusted(speed: float, drift: float) -> float:
    """How much of a measured speed to believe, where the yardstick moves by itself on one and the same machine.

    The more it moves beside how much machines differ, the nearer to the reference a machine is taken to be.
    """
    return float(speed ** (DIFFER**2 / (DIFFER**2 + drift**2)))


def predicted(
    constants: Fitted, work: Work, executors: Executors, machine: Machine, piece: float = 10_000
) -> tuple[Part, ...]:
    """What each part of a run takes."""
    given = constants.micros, constants.overlap
    return tuple(model.part(*given, name, work, executors, machine, piece) for name in PARTS)


def _weight(constants: Fitted, work: Work, executors: Executors, machine: Machine) -> float:
    """The share of the time that follows from the number of entries."""
    whole = sum(part.seconds for part in predicted(constants, work, executors, machine))
    without = sum(part.seconds for part in predicted(constants, replace(work, entries=0.0), executors, machine))
    return (whole - without) / whole if whole else 0.0


def _held_back(context: Context, work: Work, seconds: float) -> float:
    """What a throttle adds: so many documents a second and no more, a rest after each chunk."""
    settings = context.config.throttle
    paced = work.documents / settings.documents_per_second if settings.documents_per_second else 0.0
    return max(0.0, paced - seconds) + settings.nice * seconds


def bytes_of(constants: Fitted, work: Work) -> Mapping[str, float]:
    """What is added on the disk, with indexes, and to the oplog."""
    per = constants.bytes
    event = (work.event_bytes or per["event"]) * per["compression"] + per["event_indexes"]
    entry = per["entry"] * per["compression"] + per["entry_indexes"]
    written = work.events * ((work.event_bytes or per["event"]) + per["event_oplog"])
    return {
        "disk": work.events * (event + per["index"] * work.indexes) + work.entries * entry,
        "oplog": written + work.entries * (per["entry"] + per["entry_oplog"]),
    }


def memory(constants: Fitted, executors: Executors) -> float:
    """The peak of memory in bytes, of all processes together."""
    per = constants.memory
    one = per["process"] + per["worker"] * (1 if executors.processes else executors.workers)
    return MEGABYTE * (one + (per["child"] * executors.workers if executors.processes else 0.0))


def connections(executors: Executors, members: int) -> int:
    """The most that are open: of each client one for each thread that is at work, and two that watch each member."""
    watching = 2 * members
    if executors.processes:
        return 2 + watching + executors.workers * (1 + watching)
    return 2 + executors.workers + watching


def _doubts(
    context: Context, found: list[tasks.Reading], executor: str, around: Surroundings, constants: Fitted
) -> list[str]:
    """What makes this less sure than the model is."""
    doubts = []
    if any(each.documents and not each.seen.documents for each in found):
        doubts.append("of some sources no document could be looked at: taken as plain tasks, each of them an event")
    if executor == "dask":
        doubts.append("a Dask cluster was not measured: its workers are taken as processes with a core each")
    if context.config.verify.level == "full":
        doubts.append("a full verification was not measured: taken as a sample of everybody")
    if any(each.documents and not each.first for each in found):
        doubts.append("a later pass was not measured: taken as a first one, each document by itself")
    if around.shards > 1:
        doubts.append("a sharded cluster was not measured: taken as so many servers that share the work evenly")
    if around.version.split(".")[0] != str(constants.machine["mongod"]).split(".")[0]:
        doubts.append(f"measured with MongoDB {constants.machine['mongod']}, and this is {around.version}")
    return doubts
