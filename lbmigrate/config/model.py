"""The configuration's shape: what a file may say and what each word means.

Reading a file, environment variables and precedence live in `load`; nothing here touches the outside world.
All models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lbmigrate.config.base import Model
from lbmigrate.config.pace import Backfill, Live, Reconcile, Throttle, Verify
from lbmigrate.config.times import Times
from lbmigrate.config.types import (
    Action,
    Blank,
    BlankOrDatabase,
    Collection,
    DatabaseName,
    Duration,
    Meta,
    Number,
    Path,
    Paths,
    Periods,
    Points,
    PointsRange,
    RedisKey,
    TimeOfDay,
    UnitName,
    Value,
    Variable,
    Word,
    Zone,
    first_twice,
)
from lbmigrate.config.user_ref import Named
from lbmigrate.config.users import Users
from lbmigrate.records import MOST_POINTS


class Database(Model):
    """Where the app's data is. `uri` may be `local:DIR`, which starts the embedded server on DIR.

    `auth_source` confirms that the database that the URI names only keeps the user who logs in.
    """

    uri: str = "local:.lbmigrate"
    name: DatabaseName = "app"
    auth_source: Blank = None


class Let(Model):
    """A named number taken from a document: a value with a unit, a mapped value, or the time between two dates."""

    path: Paths | None = None
    between: tuple[Path, Path] | None = None
    unit: UnitName | None = None
    to: UnitName | None = None
    map: dict[Value, Number] | None = None
    default: Number | None = None
    missing: Number | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Let:
        if (self.path is None) == (self.between is None):
            raise ValueError("give either `path` or `between`")
        if self.path is not None and (self.unit is None) != (self.to is None):
            raise ValueError("`unit` and `to` go together")
        if self.between is not None and (self.unit is not None or self.map is not None):
            raise ValueError("`between` takes only `to` and `missing`")
        if self.default is not None and self.map is None:
            raise ValueError("`default` is for values that `map` does not list; for absent values use `missing`")
        return self


class Source(Model):
    """One collection (or embedded array) whose documents are scored, and how.

    `points_range` is for points that are worked out: what one action may be worth, both ends included.
    """

    name: Word
    collection: Collection
    action: Action
    where: dict[str, Any] = Field(default_factory=dict)
    user: Named
    moments: Times = Field(alias="at")
    updated: Path | None = None
    let: dict[Variable, Let] = Field(default_factory=dict)
    points: Points
    points_range: PointsRange | None = None
    meta: Meta = Field(default_factory=dict)
    unwind: Path | None = None

    @model_validator(mode="after")
    def _range_of_a_rule(self) -> Source:
        if isinstance(self.points, int) and self.points_range is not None:
            raise ValueError("`points_range` is for a formula or a function; here every action is worth `points`")
        return self

    @property
    def bounds(self) -> tuple[int, int]:
        """What one action may be worth, from and to. A rule takes no points away unless the configuration says so."""
        return self.points_range or (-MOST_POINTS if isinstance(self.points, int) else 0, MOST_POINTS)

    @property
    def at(self) -> tuple[str, ...]:
        """The fields that say when, the first that does goes first."""
        return tuple(each.path for each in self.moments)

    @property
    def cursor(self) -> str:
        """The field whose growth tells that a document is new or changed."""
        return self.updated or self.at[0]


def _place(unwind: str | None) -> str:
    return f"elements of {unwind!r}" if unwind else "whole documents"


def _sources_differ(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    twice = first_twice(source.name for source in sources)
    if twice is not None:
        raise ValueError(f"two sources are called {twice!r}; each needs a name of its own")
    homes: dict[str, str] = {}
    arrays: dict[str, str | None] = {}
    for source in sources:
        array = arrays.setdefault(source.action, source.unwind)
        if array != source.unwind:
            raise ValueError(
                f"action {source.action!r} is scored from {_place(array)} and from {_place(source.unwind)}: equal ids "
                "would count as one event; give each its own action"
            )
        home = homes.setdefault(source.action, source.collection)
        if home != source.collection:
            raise ValueError(
                f"action {source.action!r} is scored from both {home!r} and {source.collection!r}: equal ids would "
                "count as one event; give each its own action"
            )
    return sources


class Flag(Model):
    """The feature flag's document."""

    collection: Collection = "feature_flags"
    id: str = "leaderboard"


class State(Model):
    """Where the state collection lives; by default in the app's database."""

    database: BlankOrDatabase = None


class Redis(Model):
    """Sorted sets for boards of millions; without a URL ranks are counted in MongoDB."""

    url: Blank = None
    key: RedisKey = "lb:{period}"  # the sorted set of a period
    keep: Duration | None = None  # after that long a period that is over expires there, never in MongoDB


class Ranking(Model):
    """How ranks are given: who shares a score shares a rank, whether the next rank is left out, or nobody does.

    `order` says who of them stands first: who has reached the score earliest, or latest, or by the id of the user.
    """

    ties: Literal["competition", "dense", "ordinal"] = "competition"
    order: tuple[Literal["score"], Literal["earliest", "latest", "userId"]] = ("score", "userId")


class Config(Model):
    """A whole configuration, checked.

    A points function is a program, so which modules it may be from is not for the file to say: it is no field.
    """

    version: Literal[1] = 1
    database: Database = Database()
    timezone: Zone = "UTC"
    day_starts: TimeOfDay = "00:00"
    periods: Periods = ("global", "week")
    users: Users = Users()
    sources: Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_sources_differ)]
    backfill: Backfill = Backfill()
    reconcile: Reconcile = Reconcile()
    throttle: Throttle = Throttle()
    verify: Verify = Verify()
    live: Live = Live()
    flag: Flag = Field(default=Flag(), validate_default=True)  # a source may be called feature_flags
    state: State = State()
    ranking: Ranking = Ranking()
    redis: Redis = Redis()
    layout: Literal["single", "partitioned"] = "single"  # of the entries: `schema.layout`
    _functions: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def functions(self) -> frozenset[str]:
        """The modules that the operator allows points functions to be from."""
        return self._functions

    def allowing(self, modules: Iterable[str]) -> Config:
        """The same configuration with these modules allowed."""
        allowed = self.model_copy()
        allowed._functions = frozenset(modules)
        return allowed

    @property
    def day_begins(self) -> dt.timedelta:
        """What the clocks show when a day begins, as a time after midnight."""
        hours, minutes = map(int, self.day_starts.split(":"))
        return dt.timedelta(hours=hours, minutes=minutes)

    @property
    def collections(self) -> tuple[str, ...]:
        """The app's collections that a migration reads, each once."""
        apart = [self.users.settings.collection] if self.users.settings else []
        return tuple(dict.fromkeys([*(source.collection for source in self.sources), self.users.collection, *apart]))

    @field_validator("flag")
    @classmethod
    def _the_app_is_only_read(cls, flag: Flag, info: ValidationInfo) -> Flag:
        readers = {source.collection: "a source" for source in info.data.get("sources", ())}
        if "users" in info.data:
            users = info.data["users"]
            readers |= dict.fromkeys(
                [users.collection, *([users.settings.collection] if users.settings else [])], "where the users are"
            )
        if flag.collection in readers:
            what = readers[flag.collection]
            raise ValueError(
                f"the flag cannot live in {flag.collection!r}: it is {what}, and sources are only read; "
                "name another collection under `flag: {collection: NAME}`"
            )
        return flag
