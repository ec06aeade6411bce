"""This machine and this server beside those of the reference, and how far that comparison can be believed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pymongo.errors import PyMongoError

from lbmigrate.estimate import yardstick
from lbmigrate.estimate.fitted import Fitted
from lbmigrate.estimate.model import Machine
from lbmigrate.estimate.surroundings import Surroundings, cores_here
from lbmigrate.run.context import Context

DIFFER = 0.35  # by how much machines differ, as a share of their speed
ALIKE = 0.25  # how much of the distance to the reference another kind of work may not have


@dataclass(frozen=True, slots=True)
class Doubts:
    """By how large a share processor times, and the time on the clock, may be off because of what yardsticks saw."""

    client: float = 0.0
    server: float = 0.0
    clock: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The machine as the model wants it, the doubts that remain, and sentences on what could not be told."""

    machine: Machine
    doubts: Doubts
    assumed: tuple[str, ...]


def calibrated(context: Context, here: yardstick.Client, around: Surroundings, constants: Fitted) -> Calibrated:
    """This machine and this server beside those of the reference; what could not be told is taken as there."""
    trip = yardstick.trip(context.sources)
    taken = yardstick.Taken(here.seconds / constants.yardsticks["client"], here.busy)
    server = taken if around.shared else _asked(context, trip, constants)
    same = cores_here() if around.shared else int(constants.machine["cores"])
    machine = Machine(
        client=trusted(taken.seconds, constants.drift),
        server=1.0 if server is None else trusted(server.seconds, constants.drift),
        busy=here.busy,
        cores=cores_here(),
        server_cores=around.cores or same,
        shards=around.shards,
        shared=around.shared,
        trip=trip,
        journal=constants.journal + (trip if around.members > 1 else 0.0),
    )
    return Calibrated(machine, doubts(here, taken, server, constants), tuple(_assumed(server, around, same)))


def _assumed(server: yardstick.Taken | None, around: Surroundings, same: int) -> Iterator[str]:
    if server is None:
        yield "how fast the server is could not be measured: taken as the reference machine"
    if around.cores is None:
        whose = "as this machine has" if around.shared else "on each shard" if around.shards > 1 else "as the reference"
        yield f"the server does not say how many cores it has: taken as {same}, {whose}"


def _asked(context: Context, trip: float, constants: Fitted) -> yardstick.Taken | None:
    """How many times as long as the reference a server of another machine takes; None where nobody can tell."""
    names = dict.fromkeys([*(source.collection for source in context.config.sources), context.config.users.collection])
    for name in names:
        try:
            if (taken := yardstick.server(context.sources[name], trip)) is not None:
                return replace(taken, seconds=taken.seconds / constants.yardsticks["server"])
        except PyMongoError:
            continue
    return None


def trusted(speed: float, drift: float) -> float:
    """How much of a measured speed to believe, where the yardstick moves by itself on one and the same machine.

    The more it moves beside how much machines differ, the nearer to the reference a machine is taken to be.
    """
    return float(speed ** _belief(drift))


def _belief(drift: float) -> float:
    return DIFFER**2 / (DIFFER**2 + drift**2)


def doubts(
    here: yardstick.Client, client: yardstick.Taken, server: yardstick.Taken | None, constants: Fitted
) -> Doubts:
    """What the yardsticks, as times of the reference, say of how sure a comparison with it is.

    A machine that others keep busy may be idle a moment later, or twice as busy: no estimate knows which.
    """
    moved = math.log(here.moved) / 2
    far = math.hypot(moved, _distance(client.seconds, constants))
    away = math.log1p(DIFFER) if server is None else _distance(server.seconds, constants)
    others = math.log(server.busy) if server is not None and server is not client else 0.0
    clock = math.hypot(far, away, math.log(client.busy), math.log(here.swayed), others)
    return Doubts(math.expm1(far), math.expm1(math.hypot(moved, away)), math.expm1(clock))


def _distance(speed: float, constants: Fitted) -> float:
    """What is left in doubt of a machine that is so many times as slow as the reference, as a logarithm."""
    return abs(math.log(speed)) * max(ALIKE, 1 - _belief(constants.drift))


def together(*shares: float) -> float:
    """By how large a share something may be off for several reasons that have nothing to do with each other."""
    return math.expm1(math.hypot(*map(math.log1p, shares)))
