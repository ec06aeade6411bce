"""The configuration's shape: what a file may say and what each word means.

Reading a file, environment variables and precedence live in `configfile`; nothing here touches the outside world.
All models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

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

UNITS_IN_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0,
}  # fmt: skip
Unit = Literal["ns", "us", "ms", "seconds", "minutes", "hours", "days"]
PeriodKind = Literal["global", "day", "week", "month", "year"]
RESERVED_META = frozenset({"origin", "approximate", "reason"})
MOST_POINTS = 2**53  # beyond it a double, and so JSON, Redis and most apps, cannot tell neighbours apart
OWN_COLLECTIONS = frozenset({"score_events", "leaderboard_entries", "lbmigrate_state", "lbmigrate_rejects"})

PATH = r"^[^.$\x00][^.\x00]*(\.[^.\x00]+)*$"
DATABASE = r'^[^/\\. "$*<>:|?\x00]{1,63}$'
WORD = r"^[A-Za-z0-9_-]{1,60}$"
ACTION = r"^[A-Za-z0-9_.-]{1,60}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
SHAPES = {
    PATH: "a field path such as profile.name",
    DATABASE: "a database name: at most 63 characters, none of / \\ . $ * < > : | ? and no blank",
    WORD: "at most 60 letters, digits, - and _",
    ACTION: "at most 60 letters, digits, -, _ and .",
    VARIABLE: "a name that a formula can use: letters, digits and _, no digit first",
}


def _listed(value: Any) -> Any:
    """`at: endedAt` and `at: [endedAt]` say the same."""
    return [value] if isinstance(value, str) else value


def duration(value: Any) -> Any:
    """`90`, `90s`, `15m`, `2h`, `1d` or `1w` as a timedelta; anything else is handed on for pydantic to judge."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    seconds = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[found[2]]
    try:
        return dt.timedelta(seconds=float(found[1]) * seconds)
    except OverflowError as error:
        raise ValueError(f"{value} is longer than a duration can be") from error


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}; use an IANA name such as Europe/Paris") from error
    return name


def _not_ours(name: str) -> str:
    if name in OWN_COLLECTIONS:
        raise ValueError(f"{name} is written by lbmigrate itself, so it cannot be read as a source")
    return name


def _whole_or_text(value: Any) -> Any:
    """Refuse YAML's 2.5, about which pydantic would complain twice: no int, and no str either."""
    if isinstance(value, float):
        raise ValueError(f"must be a whole number or text, not {value}")
    return value


def _countable(value: Any) -> Any:
    """Refuse numbers that are no points; pydantic would take true for 1."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number, a formula or module:function, not true or false")
    if isinstance(value, int) and abs(value) > MOST_POINTS:
        raise ValueError(f"{value} is more than points can be ({MOST_POINTS})")
    return value


def _different(periods: tuple[str, ...]) -> tuple[str, ...]:
    twice = [period for period in periods if periods.count(period) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is listed twice")
    return periods


def _free(meta: dict[str, str]) -> dict[str, str]:
    taken = sorted(RESERVED_META & meta.keys())
    if taken:
        raise ValueError(f"{taken[0]} is written by lbmigrate itself; choose another name")
    return meta


Path = Annotated[str, Field(pattern=PATH)]
Chain = Annotated[tuple[Path, ...], BeforeValidator(_listed, json_schema_input_type=Path | list[Path])]
Paths = Annotated[Chain, Field(min_length=1)]
Duration = Annotated[
    dt.timedelta, BeforeValidator(duration, json_schema_input_type=str | float), Field(ge=dt.timedelta(0))
]
Zone = Annotated[str, AfterValidator(_known_zone)]
Collection = Annotated[str, Field(min_length=1), AfterValidator(_not_ours)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(pattern=WORD)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Value = Annotated[int | str, BeforeValidator(_whole_or_text, json_schema_input_type=int | str)]
Blank = Annotated[str | None, BeforeValidator(lambda value: value or None, json_schema_input_type=str | None)]


class Model(BaseModel):
    """Frozen, and strict about names: a mistyped key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """Take a key left empty (`redis:`) for a key left out."""
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None or key not in cls.model_fields}


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
    """The users, and what the board shows of them."""

    collection: Collection = "users"
    key: Path = "_id"
    display_name: Chain = ()
    avatar: Chain = ()
    opt_out: OptOut | None = None


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
    action: str = Field(pattern=ACTION)
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
    points: Annotated[Value, BeforeValidator(_countable, json_schema_input_type=Value)]
    meta: Annotated[dict[Word, Path], AfterValidator(_free)] = Field(default_factory=dict)
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
    """How the backfill reads: documents a chunk, worker threads, and how late a writer may be."""

    chunk_size: int = Field(default=10_000, ge=1, le=1_000_000)
    workers: int = Field(default=2, ge=1, le=64)
    lag: Duration = dt.timedelta(days=1)


class Flag(Model):
    """The feature flag's document."""

    collection: Collection = "feature_flags"
    id: str = "leaderboard"


class State(Model):
    """Where `lbmigrate_state` lives; by default in the app's database."""

    database: Blank = Field(default=None, pattern=DATABASE)


class Redis(Model):
    """Sorted sets for large boards; without a URL the boards are read from MongoDB."""

    url: Blank = None


class Config(Model):
    """A whole configuration, checked."""

    version: Literal[1] = 1
    database: Database = Database()
    timezone: Zone = "UTC"
    periods: Annotated[tuple[PeriodKind, ...], Field(min_length=1), AfterValidator(_different)] = ("global", "week")
    users: Users = Users()
    sources: Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_sources_differ)]
    backfill: Backfill = Backfill()
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
