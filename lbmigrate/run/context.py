"""What a step is given: where to read, where to write, what to remember, and how much was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from lbmigrate.config.model import Config
from lbmigrate.mongo.concerns import durable, fresh
from lbmigrate.records import Document
from lbmigrate.run.stop import Stop
from lbmigrate.state import State

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """This host's time as MongoDB keeps it: naive UTC, whole milliseconds."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which actions a backfill is asked for: those in [since, until) of one user or all. `full` forgets the watermark.

    A bounded scope never moves a watermark. With a `share` below 1 only so many of the chunks are read.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    user: str | None = None
    full: bool = False
    share: float = 1.0

    @property
    def bounded(self) -> bool:
        return self.since is not None or self.until is not None or self.user is not None

    def covers(self, at: dt.datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def row(self) -> Document:
        """As it is kept in the state; equal rows are the same scope."""
        return {"since": self.since, "until": self.until, "user": self.user, "full": self.full}


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What a verification compares: the top N of each period and `sample` users drawn with `seed`, or everyone."""

    sample: int = 200
    top: int = 10
    seed: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """One run's surroundings. `sources` is only read; `target` takes events, entries and the flag.

    `live` is for actions that happen now: events say so, and sources are read as they stand this instant. However the
    client of these databases is set up: what is read here decides writes, so the primary is asked, and a majority.
    """

    config: Config
    sources: Database[Any]
    target: Database[Any]
    state: State
    run: str = ""
    scope: Scope = Scope()
    verify: VerifyOptions | None = None  # None: verify only what no current verdict covers
    workers: int = 2
    keep_data: bool = False
    confirmed: bool = False  # a person has agreed to turn on what somebody turned off
    live: bool = False
    clock: Clock = utc_now
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", durable(self.target))
        object.__setattr__(self, "sources", (fresh if self.live else durable)(self.sources))

    def stopping(self) -> bool:
        """Whether to begin nothing more: what is begun is finished and handed on."""
        return self.stop.asked()
