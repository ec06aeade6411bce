"""The reference of the configuration: a section for each model, a row for each key."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs._generate.tables import table
from lbmigrate.config import pace, times, types, user_ref, users
from lbmigrate.config.keys import keys_of, words
from lbmigrate.config.load import ENVIRONMENT
from lbmigrate.config.model import Config
from lbmigrate.values.functions import FUNCTIONS

HEAD = """# Configuration

Every key of the configuration, generated from the models that read it. [Write a configuration](../howto/configure.md)
explains them at work. `lbmigrate config check` names every problem of a file with its line, `lbmigrate config show`
every value with where it comes from, `lbmigrate config schema` prints a JSON Schema.

A duration is written `90s`, `15m`, `2h`, `1d` or `8w`, a share `5 %` or `0.05`, a unit `ns`, `us`, `ms`, `seconds`,
`minutes`, `hours`, `days` or another usual name of one, a field path with dots: `profile.name`. An unknown key is an
error. `${NAME}` and `${NAME:-default}` are taken from the environment; `$${` is a plain `${`.
"""
FORMULAS = """## Formulas

`points` of a source may be a formula over the names of its `let`, with numbers, `+ - * / // % **`, comparisons, and
`&`, `|` and `~` between comparisons in parentheses. It sees one document. What it gives is rounded to the nearest whole
number, halves to the even one: say `floor` or `ceil` where you mean that. One point for each full five minutes is
`floor(minutes / 5)`, one for each started five minutes `ceil(minutes / 5)`. It may call these functions, no others:
"""
# What a type is called; those that are not listed are told by what they are made of.
NAMED: list[tuple[Any, str]] = [
    (types.Path, "field path"),
    (types.Chain, "field path, or a list of them"),
    (types.Paths, "field path, or a list of them"),
    (types.Duration, "duration"),
    (types.Moment, "date, time, or how long ago"),
    (types.TimeOfDay, "time of day in quotes"),
    (types.Zone, "IANA time zone"),
    (types.UnitName, "unit"),
    (types.Collection, "collection"),
    (types.DatabaseName, "database"),
    (types.BlankOrDatabase, "database or `null`"),
    (types.Blank, "text or `null`"),
    (types.Points, "whole number or text"),
    (types.PointsRange, "list of two whole numbers"),
    (types.RedisKey, "text with `{period}`"),
    (types.Meta, "names with field paths"),
    (pace.Share, "share"),
    (users.PlainValue, "text, number, `true` or `false`"),
]
# Keys whose value may be written in several ways, with the model of the longest.
SHORTHANDS: list[tuple[Any, str, type[BaseModel]]] = [
    (times.Times, "field path, or a list of them or of", times.At),
    (user_ref.Named, "field path, or", user_ref.UserRef),
    (users.Conditions, "list of, or one", users.Condition),
]


def page() -> str:
    """The text of the page."""
    lines = [HEAD]
    for title, model in sections(Config, ""):
        lines += [f"## {title or 'Top level'}", "", about(model), "", *table(COLUMNS, rows(model))]
    lines += [FORMULAS, *table(("function", "gives", "example"), functions())]
    variables = [[f"`{variable}`", f"`{key}`"] for key, variable in ENVIRONMENT.items()]
    lines += ["## Variables", "", "An option of a command goes before a variable, a variable before the file.", ""]
    return "\n".join([*lines, *table(("variable", "key"), variables)])


def functions() -> Iterator[list[str]]:
    """The functions that a formula may call."""
    for each in FUNCTIONS.values():
        yield [f"`{each.written}`", each.means, f"`{each.example}`"]


FAR = 2**53  # a bound that nobody meets
TYPES = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    dt.timedelta: "duration",
    NoneType: "`null`",
}
WORDS = {"ge": "from", "gt": "more than", "le": "to", "lt": "less than"}
COLUMNS = ("key", "type", "default", "means", "example")


def sections(model: type[BaseModel], title: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model that a file may have, each where it is first met: (`users: opt_out`, OptOut)."""
    met: set[type[BaseModel]] = set()
    waiting = [(title, model)]
    while waiting:
        title, model = waiting.pop(0)
        if model not in met:
            met.add(model)
            yield title, model
            inner = [(f"{title}: {key}" if title else key, part) for key, part in parts_of(model)]
            waiting = [*inner, *waiting]


def parts_of(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    hints = get_type_hints(model, include_extras=True)
    for key, name in keys_of(model).items():
        yield from ((key, part) for part in models_in(hints[name]))


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint):
        yield from models_in(part)


def about(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def rows(model: type[BaseModel]) -> Iterator[list[str]]:
    hints = get_type_hints(model, include_extras=True)
    for key, name in keys_of(model).items():
        told, field = words()[model.__name__][key], model.model_fields[name]
        word = kind(hints[name]) + bounds([*field.metadata, *metadata(hints[name])])
        yield [f"`{key}`", word, default_word(field), told["means"], f"`{example(key, told)}`"]


def example(key: str, told: dict[str, Any]) -> str:
    """A line of a file, or a whole part of it where the key needs others beside it."""
    shown = {**told.get("beside", {}), key: told["example"]}
    return flow(shown)[1:-1] if len(shown) == 1 else flow(shown)


def default_word(field: Any) -> str:
    if field.is_required():
        return "required"
    value = default_of(field)
    return "its own" if isinstance(value, BaseModel) else f"`{written(value)}`"


def metadata(hint: Any) -> list[Any]:
    """What the annotations inside a type say of its bounds."""
    own = [each for part in getattr(hint, "__metadata__", ()) for each in getattr(part, "metadata", ())]
    return own + [each for part in get_args(hint) for each in metadata(part)]


def bounds(limits: list[Any]) -> str:
    """From where to where a number may be."""
    found = {name: getattr(each, name) for each in limits for name in WORDS if hasattr(each, name)}
    said = [
        f"{WORDS[name]} {found[name]}"
        for name in WORDS
        if isinstance(found.get(name), int | float) and abs(found[name]) < FAR
    ]
    return f", {' '.join(said)}" if said else ""


def default_of(field: Any) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def kind(hint: Any) -> str:
    """What a value may be, in words; a part with keys of its own is a link to its section."""
    words = [word for known, word in NAMED if hint is known]
    words += [f"{word} {link(model)}" for known, word, model in SHORTHANDS if hint is known]
    if words:
        return words[0]
    inside = get_args(hint)
    if not inside:
        return plain(hint)
    if get_origin(hint) is Literal:
        return either([f"`{written(value)}`" for value in inside])
    if get_origin(hint) in (Union, UnionType):
        return either([kind(part) for part in inside])
    if get_origin(hint) is tuple and Ellipsis not in inside:
        return f"list of {', then '.join(map(kind, inside))}"
    word = {tuple: "list of ", dict: "names with "}.get(get_origin(hint), "")
    return word + kind(inside[1 if get_origin(hint) is dict else 0])


def plain(hint: Any) -> str:
    """A type that is not made of others."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return link(hint)
    return TYPES.get(hint, "anything")


def either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[:-1] else words)


def link(model: type[BaseModel]) -> str:
    """To the section of a model; one that is in several places is described at the first."""
    title = next(title for title, each in sections(Config, "") if each is model)
    return f"[{title}](#{title.replace(': ', '-')})"


def written(value: Any) -> str:
    """A value as a file has it."""
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return flow(value)
    if isinstance(value, str):
        return (
            value
            if value.replace("_", "a").isalnum() and not value.isdigit()
            else json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value)


def flow(value: dict[Any, Any]) -> str:
    return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"


def duration(length: dt.timedelta) -> str:
    seconds = length.total_seconds()
    for name, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{name}"
    return f"{seconds:g}s"
