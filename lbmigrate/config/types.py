"""The words of a configuration: how a path, a duration, a collection or a number of points is written.

Each type says what it takes, so that the models of `config` are a list of what there is.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from lbmigrate.schema import ENTRIES, EVENTS, PERIODS

if TYPE_CHECKING:
    PeriodKind = str
else:
    PeriodKind = Literal[tuple(PERIODS)]
ReadPreference = Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"]
RESERVED_META = frozenset({"origin", "approximate", "reason", "forgotten"})
MOST_POINTS = 2**53  # beyond it a double, and so JSON, Redis and most apps, cannot tell neighbours apart
OWN_PREFIX = "lbmigrate_"  # of whatever is neither an event nor an entry

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
    if name in (EVENTS, ENTRIES) or name.startswith(OWN_PREFIX):
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
Action = Annotated[str, Field(pattern=ACTION)]
Points = Annotated[Value, BeforeValidator(_countable, json_schema_input_type=Value)]
Meta = Annotated[dict[Word, Path], AfterValidator(_free)]
Periods = Annotated[tuple[PeriodKind, ...], Field(min_length=1), AfterValidator(_different)]
