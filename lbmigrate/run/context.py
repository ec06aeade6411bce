"""What a step is given: where to read, where to write, what to remember, and how much was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from lbmigrate.config.model import Config
from lbmigrate.mongo.concerns import behind, durable, fresh, readable
from lbmigrate.records import Document
from lbmigrate.run.additions import Additions
from lbmigrate.run.crew import Crew
from lbmigrate.run.pace import Pace
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

    A bounded scope never moves a watermark. With a `share` below 1 only so many of the chunks are read. With `lasting`
    `since` is to be where the board begins, for all backfills to come; `words` is how it was written. `start` is where
    the board begins already: it bounds every scope, and makes none bounded.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    user: str | None = None
    full: bool = False
    share: float = 1.0
    words: str = ""
    lasting: bool = False
    start: dt.datetime | None = None

    def __str__(self) -> str:
        """The bounds as they are typed."""
        bounds = (("--since", self.since), ("--until", self.until), ("--user", self.user))
        shown = ((name, f"{at:%Y-%m-%dT%H:%MZ}" if isinstance(at, dt.datetime) else at) for name, at in bounds)
        return " ".join(f"{name} {at}" for name, at in shown if at is not None)

    @property
    def bounded(self) -> bool:
        return self.since is not None or self.until is not None or self.user is not None

    def covers(self, at: dt.datetime) -> bool:
        low = max(filter(None, (self.since, self.start)), default=None)
        return (low is None or low <= at) and (self.until is None or at < self.until)

    @property
    def takes_all(self) -> bool:
        """Whether actions of any time count."""
        return not self.bounded and self.start is None

    def row(self) -> Document:
        """As it is kept in the state; equal rows are the same scope."""
        return {"since": self.since, "until": self.until, "user": self.user, "full": self.full}


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What a verification compares: the top N of each period and `sample` users drawn with `seed`, or everyone.

    Without a number the sample is as large as it must be to say, with `confidence`, that fewer than `max_error` are
    wrong.
    """

    sample: int | None = None
    top: int = 10
    seed: int = 0
    full: bool = False
    confidence: float = 0.95
    max_error: float = 0.01


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
    shard: bool = False  # step 2 spreads the collections over the shards of a cluster
    clock: Clock = utc_now
    stop: Stop = field(default_factory=Stop)
    pace: Pace = field(default_factory=Pace)  # in force: `throttle.gate` begins it, and `tune` changes it
    crew: Crew | None = None  # who works for the run beside its threads
    additions: Additions | None = None  # None: whoever is rolled up has the whole ledger read

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", durable(self.target))
        object.__setattr__(self, "sources", (fresh if self.live else durable)(self.sources))

    def readable(self) -> Database[Any]:
        """The sources where reading them is much work, and decides nothing that a later pass does not put right.

        Documents of chunks, their bounds, and how many of them qualify: of the members that the configuration names.
        """
        return readable(self.sources, self.config.backfill.read_preference, self.config.database.uri)

    def late(self) -> dt.timedelta:
        """How far before its watermark a pass begins: so late may a writer be, or what `readable` reads."""
        backfill = self.config.backfill
        return max(backfill.lag, behind(backfill.read_preference, self.config.database.uri))

    def hands(self) -> int:
        """How many pieces may be worked on at the same time, here and by others."""
        return self.pace.threads() if self.crew is None else self.crew.hands()

    def stopping(self) -> bool:
        """Whether to begin nothing more: what is begun is finished and handed on."""
        return self.stop.asked()
