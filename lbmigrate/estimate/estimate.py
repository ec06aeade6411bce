"""The estimate: what the model makes of the work that is left, of this machine and of this server, with its error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lbmigrate.errors import UsageError
from lbmigrate.estimate import model, tasks, yardstick
from lbmigrate.estimate.calibration import Calibrated, Doubts, calibrated, together
from lbmigrate.estimate.fitted import Fitted, fitted
from lbmigrate.estimate.model import PARTS, Executors, Machine, Part, Work
from lbmigrate.estimate.reading import Reading
from lbmigrate.estimate.sample import Allowance
from lbmigrate.estimate.sizes import bytes_of, connections, memory
from lbmigrate.estimate.surroundings import Surroundings, surroundings
from lbmigrate.estimate.users import Spread
from lbmigrate.ledger import moving
from lbmigrate.mongo.client import server_time
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Context
from lbmigrate.state import LOCK
from lbmigrate.state.lease import is_held

FURTHER = 0.1  # how much less sure a model is for each power of ten beyond what it was fitted to
SECONDS = 4.0  # that looking at documents may take, and after it looking at users


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
    """How this estimate was made: documents read, users looked at, seconds, the machine as it was found, and doubts."""

    documents: int
    users: int
    seconds: float
    machine: Machine
    doubts: Doubts


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. Seconds are on the clock, `client` and `server` processor seconds, sizes in bytes.

    `parts` are of the likely time, which `held_back` seconds of a throttle are part of. `oplog` is what goes into it;
    `connections` are the most that are open at a time. `assumed` are sentences on what could not be asked or measured,
    `left_out` on what is no part of it; `beyond` says how many times as many documents as were ever measured there are.
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
    left_out: tuple[str, ...] = ()
    beyond: float = 0.0
    chunk_size: int = 10_000

    @property
    def limit(self) -> str:
        """What limits the longest part of the run."""
        return max(self.parts, key=lambda part: part.seconds).limit if self.seconds.likely else ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the database and the machine came to."""

    found: list[Reading]
    work: Work
    share: Spread
    here: yardstick.Client
    known: Calibrated
    calibration: Calibration


def estimate(context: Context, executor: str = "threads", constants: Fitted | None = None) -> Estimate:
    """What is left to do will take so long, with so many workers of this kind as the context has.

    Reads some thousand documents at most, for twice SECONDS at most beside a few commands, and writes nothing. Raises
    UsageError for a database in memory.
    """
    refuse_in_memory(context)
    constants = constants or fitted()
    around = surroundings(context)
    looked = look(context, around, constants)
    executors, machine = Executors(context.workers, executor != "threads"), looked.known.machine
    parts = predicted(constants, looked.work, executors, machine, context.config.backfill.chunk_size)
    held = _held_back(context, looked.work, sum(part.seconds for part in parts))
    return Estimate(
        **_ranges(constants, looked, executors, parts, held),
        connections=connections(executors, around.members),
        parts=parts,
        held_back=held,
        work=looked.work,
        executors=executors,
        executor=executor,
        calibration=looked.calibration,
        surroundings=around,
        assumed=(*looked.known.assumed, *_doubts(context, looked.found, executor, around, constants)),
        left_out=tuple(_left_out(context)),
        beyond=looked.work.documents / largest(constants),
        chunk_size=context.config.backfill.chunk_size,
    )


def look(context: Context, around: Surroundings, constants: Fitted) -> Looked:
    """Documents, users and yardsticks in turns: what one moment shows of a machine may be over in the next."""
    here, allowance = yardstick.Client(), Allowance(SECONDS)
    here.take()
    there, found = tasks.present(context), tasks.readings(context, allowance)
    first = allowance.left
    here.take()
    others = Allowance(SECONDS)
    work, share = tasks.work(context, found, there, others)
    spent = 2 * SECONDS - first - others.left
    here.take()
    known = calibrated(context, here, around, constants)
    unseen = sum(each.documents for each in found if not each.seen.documents)
    scoring = work.scoring + unseen * constants.yardsticks["scoring"] * known.machine.client
    calibration = Calibration(allowance.read, share.looked_at, spent, known.machine, known.doubts)
    return Looked(found, replace(work, scoring=scoring), share, here, known, calibration)


def _ranges(
    constants: Fitted, looked: Looked, executors: Executors, parts: Sequence[Part], held: float
) -> dict[str, Range]:
    """What is likely, and how far off it may be: by the model, by the users who were looked at, by the yardsticks."""
    work, share, doubts = looked.work, looked.share.error, looked.known.doubts
    likely = {
        "seconds": sum(part.seconds for part in parts) + held,
        "client": sum(part.client for part in parts),
        "server": sum(part.server for part in parts),
        **bytes_of(constants, work),
        "memory": memory(constants, executors),
    }
    weight = _weight(constants, work, executors, looked.known.machine)
    further = FURTHER * max(0.0, math.log10(max(1.0, work.documents / largest(constants))))
    more = {"seconds": (share * weight, doubts.clock), "client": (share / 2, doubts.client),
            "server": (share / 2, doubts.server), "memory": ()}  # fmt: skip
    return {
        name: Range.around(value, together(constants.errors[name], further, *more.get(name, (share / 2,))))
        for name, value in likely.items()
    }


def refuse_in_memory(context: Context) -> None:
    """Raise UsageError for a database in memory, which no model of a server fits."""
    if is_fake(context.sources) or is_fake(context.target):
        told = "--estimate: a database in memory has no server, and what it takes says nothing of one"
        raise UsageError(told, "leave out --estimate, or name a server: lbmigrate plan --estimate --uri mongodb://HOST")


def predicted(
    constants: Fitted, work: Work, executors: Executors, machine: Machine, piece: float = 10_000
) -> tuple[Part, ...]:
    """What each part of a run takes."""
    given = constants.micros, constants.overlap
    return tuple(model.part(*given, name, work, executors, machine, piece) for name in PARTS)


def largest(constants: Fitted) -> int:
    """The documents of the largest database that was measured."""
    return max(int(each["case"]["docs"]) for each in (*constants.cases, *constants.held_back))


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


def _doubts(
    context: Context, found: list[Reading], executor: str, around: Surroundings, constants: Fitted
) -> list[str]:
    """What makes this less sure than the model is."""
    doubts = []
    if any(each.documents and not each.seen.documents for each in found):
        doubts.append("of some sources no document could be looked at: taken as plain tasks, each of them an event")
    if executor == "dask":
        doubts.append("a Dask cluster was not measured: its workers are taken as processes with a core each")
    if any(each.documents and not each.first for each in found):
        doubts.append("a later pass was not measured: taken as a first one, each document by itself")
    if context.config.layout == "partitioned":
        doubts.append("a collection for each period was not measured: taken as one for all")
    if around.shards > 1:
        doubts.append("a sharded cluster was not measured: taken as so many servers that share the work evenly")
    if around.version.split(".")[0] != str(constants.machine["mongod"]).split(".")[0]:
        doubts.append(f"measured with MongoDB {constants.machine['mongod']}, and this is {around.version}")
    return doubts


def _left_out(context: Context) -> Iterator[str]:
    """What a run does, or what goes on, that the model knows nothing of."""
    if moving.pending(context):
        yield "a run moves entries to another layout; how long that takes is not known, and not part of this"
    if context.config.redis.url:
        yield "boards in Redis are no part of this: a run takes longer where it has to rebuild them"
    if is_held(context.state.get(LOCK), server_time(context.sources)):
        yield "a run is going on: this is about what it had not done yet when this was asked"
