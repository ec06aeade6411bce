"""The configuration's shape: what a file may say and what each word means.

Reading a file, environment variables and precedence live in `configfile`; nothing here touches the outside world.
All models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lbmigrate.config.types import (
    DATABASE,
    Action,
    Blank,
    Chain,
    Collection,
    Duration,
    Meta,
    Number,
    Path,
    Paths,
    Periods,
    Points,
    ReadPreference,
    Value,
    Variable,
    Word,
    Zone,
)
from lbmigrate.values.units import Unit


class Model(BaseModel):
    """Frozen, and strict about names: a mistyped key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """Take a key left empty (`redis:`) for a key left out, unless nothing is something that it may be."""
        if not isinstance(value, dict):
            return value
        never_none = {name for name, field in cls.model_fields.items() if type(None) not in get_args(field.annotation)}
        return {key: item for key, item in value.items() if item is not None or key not in never_none}


class Database(Model):
    """Where the app's data is. `uri` may be `local:DIR`, which starts the embedded server on DIR."""

    uri: str = "local:.lbmigrate"
    name: str = Field(default="app", pattern=DATABASE)


class OptOut(Model):
    """Who does not want to be on the board. `missing` is what an absent field means: a legal choice, so no default."""

    path: Path
    missing: bool
    negate: bool = False


class Users(Model):
    """The users, and what the board shows of them. `updated` grows when a user changes: a backfill looks there."""

    collection: Collection = "users"
    key: Path = "_id"
    display_name: Chain = ()
    avatar: Chain = ()
    opt_out: OptOut | None = None
    updated: Path | None = None


class UserRef(Model):
    """Where a source names its user; `as` makes mixed id types one."""

    path: Path
    coerce: Literal["objectId", "string"] | None = Field(default=None, alias="as")


class Let(Model):
    """A named number taken from a document: a value with a unit, a mapped value, or the time between two dates."""

    path: Paths | None = None
    between: tuple[Path, Path] | None = None
    unit: Unit | None = None
    to: Unit | None = None
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
    """One collection (or embedded array) whose documents are scored, and how."""

    name: Word
    collection: Collection
    action: Action
    where: dict[str, Any] = Field(default_factory=dict)
    user: Annotated[
        UserRef,
        BeforeValidator(
            lambda value: {"path": value} if isinstance(value, str) else value, json_schema_input_type=Path | UserRef
        ),
    ]
    at: Paths
    updated: Path | None = None
    let: dict[Variable, Let] = Field(default_factory=dict)
    points: Points
    meta: Meta = Field(default_factory=dict)
    unwind: Path | None = None

    @property
    def cursor(self) -> str:
        """The field whose growth tells that a document is new or changed."""
        return self.updated or self.at[0]


def _sources_differ(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    names = [source.name for source in sources]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two sources are called {twice[0]!r}; each needs a name of its own")
    homes: dict[str, str] = {}
    for source in sources:
        home = homes.setdefault(source.action, source.collection)
        if home != source.collection:
            raise ValueError(
                f"action {source.action!r} is scored from both {home!r} and {source.collection!r}: equal ids would "
                "count as one event; give each its own action"
            )
    return sources


class Backfill(Model):
    """How the backfill reads: documents a chunk, worker threads, and how late a writer may be.

    A chunk has at most `chunk_size` documents, and fewer where so many take longer than `target`; with null there it is
    always that many. `attempts` are for passing faults; more than `failing_share` of chunks with documents that cannot
    be read or written stop the run. Actions further ahead of the clock than `future` are kept, but counted and told.
    """

    chunk_size: int = Field(default=10_000, ge=1, le=1_000_000)
    workers: int = Field(default=2, ge=1, le=64)
    lag: Duration = dt.timedelta(days=1)
    future: Duration = dt.timedelta(minutes=5)
    target: Duration | None = dt.timedelta(seconds=5)
    attempts: int = Field(default=5, ge=1, le=100)
    failing_share: float = Field(default=0.2, gt=0, le=1)
    read_preference: ReadPreference = "primary"


class Throttle(Model):
    """When a run holds back: what the server says, a file, and how much of the time it may work at all.

    `nice` is the rest after a chunk as a share of the time that the chunk took; null turns a signal off.
    """

    max_lag: Duration | None = dt.timedelta(seconds=10)
    max_queue: Annotated[int, Field(ge=0)] | None = 100
    latency_factor: Annotated[float, Field(gt=1)] | None = 5.0
    flag_file: Blank = None
    nice: float = Field(default=0.0, ge=0, le=100)
    documents_per_second: Annotated[float, Field(gt=0)] | None = None


class Flag(Model):
    """The feature flag's document."""

    collection: Collection = "feature_flags"
    id: str = "leaderboard"


class State(Model):
    """Where the state collection lives; by default in the app's database."""

    database: Blank = Field(default=None, pattern=DATABASE)


class Redis(Model):
    """Sorted sets for large boards; without a URL the boards are read from MongoDB."""

    url: Blank = None


class Config(Model):
    """A whole configuration, checked."""

    version: Literal[1] = 1
    database: Database = Database()
    timezone: Zone = "UTC"
    periods: Periods = ("global", "week")
    users: Users = Users()
    sources: Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_sources_differ)]
    backfill: Backfill = Backfill()
    throttle: Throttle = Throttle()
    flag: Flag = Flag()
    state: State = State()
    redis: Redis = Redis()

    @property
    def collections(self) -> tuple[str, ...]:
        """The app's collections that a migration reads, each once."""
        return tuple(dict.fromkeys([*(source.collection for source in self.sources), self.users.collection]))

    @field_validator("flag")
    @classmethod
    def _sources_are_only_read(cls, flag: Flag, info: ValidationInfo) -> Flag:
        if flag.collection in {source.collection for source in info.data.get("sources", ())}:
            raise ValueError(f"the flag cannot live in {flag.collection!r}: it is a source, and sources are only read")
        return flag
