"""The words of a configuration: how a path, a duration, a collection or a number of points is written.

Each type says what it takes, so that the models of `config` are a list of what there is.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from lbmigrate.config.moment import WRITTEN, moment
from lbmigrate.records import MOST_POINTS
from lbmigrate.schema import ENTRIES, EVENTS, PERIODS
from lbmigrate.values.units import UNIT_NAMES, UNITS_IN_SECONDS, Unit

if TYPE_CHECKING:
    PeriodKind = str
    UnitWord = str
else:
    PeriodKind = Literal[tuple(PERIODS)]
    UnitWord = Literal[tuple(UNIT_NAMES)]
ReadPreference = Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]
RESERVED_META = frozenset({"origin", "approximate", "reason", "forgotten"})
OWN_PREFIX = "lbmigrate_"  # of whatever is neither an event nor an entry
SERVERS_OWN = frozenset({"admin", "config", "local"})  # databases
LONGEST_COLLECTION = 235  # bytes; the server's own limit, the database's name not counted
LONGEST_PATH = 500  # characters of a field path
LONGEST_DURATION = dt.timedelta(days=36_500)  # added to any clock, it still gives a date
SHOWN = 40  # characters of a value in a message

PATH = r"^[^.$\x00][^.\x00]*(\.[^.\x00]+)*$"
DATABASE = r'^[^/\\. "$*<>:|?\x00]{1,63}$'
WORD = r"^[A-Za-z0-9_-]{1,60}$"
ACTION = r"^[A-Za-z0-9_.-]{1,60}$"
REDIS_KEY = r"^[^{}\s]*\{period\}[^{}\s]*$"  # other braces would say which slot of a cluster it is in
TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,59}$"
SHAPES = {
    PATH: "a field path such as profile.name",
    DATABASE: "a database name: at most 63 characters, none of / \\ . $ * < > : | ? and no blank",
    WORD: "at most 60 letters, digits, - and _",
    ACTION: "at most 60 letters, digits, -, _ and .",
    TIME_OF_DAY: 'a time of day in quotes, from "00:00" to "23:59"',
    VARIABLE: "a name that a formula can use: at most 60 letters, digits and _, no digit first",
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
        raise ValueError(f"{value[:SHOWN]} is longer than a duration can be") from error


def _moment(value: Any) -> Any:
    """A moment as it is written; YAML has made a time of some already. It must be one, whenever it is read."""
    words = value.isoformat() if isinstance(value, dt.date) else value
    if isinstance(words, str):
        try:
            moment(words, dt.datetime(2025, 1, 1))
        except ValueError as error:
            raise ValueError(f"{words[:SHOWN]!r} is not a valid time; {WRITTEN}") from error
    return words


def _time_of_day(value: Any) -> Any:
    """Refuse a number, which YAML makes of 4:00 without quotes: it may have meant hours or minutes."""
    if isinstance(value, int | float):
        raise ValueError(f"must be {SHAPES[TIME_OF_DAY]}; without them YAML reads a number")
    return value


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}; use an IANA name such as Europe/Paris") from error
    return name


def _of_the_app(name: str) -> str:
    if name in (EVENTS, ENTRIES) or name.startswith(OWN_PREFIX):
        raise ValueError(f"{name} is written by lbmigrate itself; name a collection of the app")
    if name.startswith("system."):
        raise ValueError(f"{name} belongs to the server; name a collection of the app")
    odd = "$" in name or "\0" in name or ".." in name or name.strip(".") != name
    if odd or len(name.encode("utf-8", "replace")) > LONGEST_COLLECTION:
        rule = f"at most {LONGEST_COLLECTION} bytes, no $ and no NUL, no . first, last or twice in a row"
        raise ValueError(f"no collection can be called {name[:SHOWN]!r}: {rule}")
    return name


def _of_an_app(database: str) -> str:
    if database in SERVERS_OWN:
        raise ValueError(f"{database} belongs to the server; name a database of the app")
    return database


def _unit(word: Any) -> Any:
    """The unit that a word stands for. No guess: the nearest word may be a thousand times as much."""
    known = UNIT_NAMES.get(word) if isinstance(word, str) else None
    if known is None:
        raise ValueError(f"must be {', '.join(UNITS_IN_SECONDS)} or another name of one, not {str(word)[:SHOWN]!r}")
    return known


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


def _ordered(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds[0]} is more than {bounds[1]}; write the lower end first")
    return bounds


def _different(periods: tuple[str, ...]) -> tuple[str, ...]:
    twice = first_twice(periods)
    if twice is not None:
        raise ValueError(f"{twice} is listed twice")
    return periods


def first_twice(words: Iterable[str]) -> str | None:
    """The first of `words` that occurs again."""
    return next((word for word, count in Counter(words).items() if count > 1), None)


def _free(meta: dict[str, str]) -> dict[str, str]:
    taken = sorted(RESERVED_META & meta.keys())
    if taken:
        raise ValueError(f"{taken[0]} is written by lbmigrate itself; choose another name")
    return meta


Path = Annotated[str, Field(pattern=PATH, max_length=LONGEST_PATH)]
Chain = Annotated[tuple[Path, ...], BeforeValidator(_listed, json_schema_input_type=Path | list[Path])]
Paths = Annotated[Chain, Field(min_length=1)]
Duration = Annotated[
    dt.timedelta,
    BeforeValidator(duration, json_schema_input_type=str | float),
    Field(ge=dt.timedelta(0), le=LONGEST_DURATION),
]
Moment = Annotated[str, BeforeValidator(_moment, json_schema_input_type=str)]
TimeOfDay = Annotated[str, BeforeValidator(_time_of_day, json_schema_input_type=str), Field(pattern=TIME_OF_DAY)]
Zone = Annotated[str, AfterValidator(_known_zone)]
DatabaseName = Annotated[str, Field(pattern=DATABASE), AfterValidator(_of_an_app)]
Collection = Annotated[str, Field(min_length=1), AfterValidator(_of_the_app)]
UnitName = Annotated[Unit, BeforeValidator(_unit, json_schema_input_type=UnitWord)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(pattern=WORD)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Value = Annotated[int | str, BeforeValidator(_whole_or_text, json_schema_input_type=int | str)]
Blank = Annotated[str | None, BeforeValidator(lambda value: value or None, json_schema_input_type=str | None)]
BlankOrDatabase = Annotated[
    DatabaseName | None, BeforeValidator(lambda value: value or None, json_schema_input_type=str | None)
]
RedisKey = Annotated[str, Field(pattern=REDIS_KEY)]
Action = Annotated[str, Field(pattern=ACTION)]
Points = Annotated[Value, BeforeValidator(_countable, json_schema_input_type=Value)]
Limit = Annotated[int, Field(strict=True, ge=-MOST_POINTS, le=MOST_POINTS)]
PointsRange = Annotated[tuple[Limit, Limit], AfterValidator(_ordered)]
Meta = Annotated[dict[Word, Path], AfterValidator(_free)]
Periods = Annotated[tuple[PeriodKind, ...], Field(min_length=1), AfterValidator(_different)]
