"""Which database a rehearsal on fixtures runs on: the one in memory, or a real server where that one may differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo.fake.conditions import unfaithful
from lbmigrate.mongo.program import find_mongod


class Engine(StrEnum):
    """What may be asked for."""

    AUTO = "auto"
    MEMORY = "memory"
    MONGOD = "mongod"


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine, `memory` or `mongod`, and what speaks against the one in memory, a line for each filter."""

    engine: Engine
    doubts: tuple[str, ...]

    @property
    def words(self) -> str:
        return "in memory" if self.engine is Engine.MEMORY else "on an embedded mongod"


def choose(config: Config, fixtures: Path, wanted: Engine = Engine.AUTO) -> Choice:
    """The engine that decides the filters as a server does; the one in memory where both do.

    Raises UsageError that names the filters, and what in them, when only a server could and none can run here or the
    one in memory is `wanted`; and what `find_mongod` raises when a server is `wanted` and there is none.
    """
    doubts = tuple(f"{source.name}: {what}" for source in config.sources for what in unfaithful(source.where))
    if wanted is Engine.MONGOD:
        find_mongod()
    elif not doubts:
        return Choice(Engine.MEMORY, ())
    elif wanted is Engine.MEMORY:
        raise _refusal(doubts, f"lbmigrate run --dry-run --fixtures {fixtures} --engine mongod --config FILE")
    else:
        _find(doubts)
    return Choice(Engine.MONGOD, doubts)


def _find(doubts: tuple[str, ...]) -> None:
    try:
        find_mongod()
    except LbmigrateError as error:
        raise _refusal(doubts, f"{error.hint}; or rehearse on the real data: lbmigrate run --dry-run", error) from error


def _refusal(doubts: tuple[str, ...], hint: str, why: LbmigrateError | None = None) -> UsageError:
    reason = f", and no server can run here: {why.message}" if why else ""
    return UsageError(f"{doubts[0]} may mean something else in memory than on a server{reason}", hint, doubts[1:])
