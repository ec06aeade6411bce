"""What pydantic found wrong with a configuration, as plain sentences at the places where the file says it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, get_args

from lbmigrate.config.base import Model
from lbmigrate.config.model import Config
from lbmigrate.config.types import SHAPES
from lbmigrate.config.yaml_tree import dotted
from lbmigrate.errors import Problem
from lbmigrate.telling.secrets import without_value

Loc = Sequence[str | int]

# Pydantic's types of error; what is not here is found by its first word: `int_parsing` is about an `int`.
_SENTENCES = {
    "missing": "is missing",
    "value_error": "{error}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "too_long": "must have {max_length} items, not {actual_length}",
    "greater_than_equal": "must be at least {ge}, not {value}",
    "less_than_equal": "must be at most {le}, not {value}",
    "string": "must be text, not {value}",
    "int": "must be a whole number, not {value}",
    "float": "must be a number, not {value}",
    "finite": "must be a number, not {value}",
    "bool": "must be true or false, not {value}",
    "model": "must be a mapping (`key: value`), not {value}",
    "dict": "must be a mapping (`key: value`), not {value}",
    "tuple": "must be a list, not {value}",
    "time": "must be a duration such as 90s, 15m, 2h, 1d or 1w, not {value}",
}
_LONGEST = 40
LONGEST_MESSAGE = 400  # characters


def complaints(errors: Iterable[Mapping[str, Any]], data: Any) -> Iterator[Problem]:
    """One problem for every place of `data` that pydantic's `errors` name, without lines."""
    told = set()
    for error in errors:
        # Where an item is wrong pydantic also finds the whole list too short, since it leaves the item out.
        if error["type"] == "too_short" and error["input"]:
            continue
        path, _ = place(data, error["loc"])
        if path not in told:
            told.add(path)
            yield Problem(path, _sentence(error))


def discreet(problem: Problem, values: Iterable[Any]) -> Problem:
    """The same problem without what its message quotes of `values`: what comes from outside the file may be secret."""
    message = problem.message
    for value in values:
        message = without_value(message, str(value))
    return replace(problem, message=message)


def shortened(message: str) -> str:
    """A message as long as a message may be."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def place(data: Any, loc: Loc) -> tuple[str, bool]:
    """Return the path under which `data` says pydantic's `loc`, and whether it says it at all.

    Shorthand ends the path early: of `user: userId` pydantic sees `user.path`, the file has `user`.
    """
    path = ""
    for step in loc:
        if step == "[key]":
            return path, True
        if not isinstance(data, dict | list):
            return path, data is not None
        path = f"{path}[{step}]" if isinstance(data, list) else dotted(path, step)
        if step not in (data if isinstance(data, dict) else range(len(data))):
            return path, False
        data = data[step]  # type: ignore[index]  # a step into a list is an index of it
    return path, True


def _nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where no known word is near."""
    found = get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _shown(value: Any) -> str:
    """Quote a value as a message may: short, in YAML's words, and never a URI, which may hold a password."""
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return "this text" if "://" in value or len(value) > _LONGEST else repr(value)
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _sentence(error: Mapping[str, Any]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in {"extra_forbidden", "invalid_key"}:
        return _unknown(error["loc"])
    if kind == "literal_error":
        near = _nearest(str(value), re.findall(r"'(.+?)'", context["expected"]))
        return f"must be {context['expected']}, not {_shown(value)}{near}"
    if kind == "string_pattern_mismatch":
        return f"must be {SHAPES[context['pattern']]}, not {_shown(value)}"
    template = _SENTENCES.get(kind) or _SENTENCES.get(kind.split("_")[0], "{msg}")
    return template.format(value=_shown(value), msg=error["msg"], **context)


def _unknown(loc: Loc) -> str:
    known = [field.alias or name for name, field in _model_at(loc[:-1]).model_fields.items()]
    near = _nearest(str(loc[-1]), known)
    return f"unknown key {str(loc[-1])!r}{near or '; known here: ' + ', '.join(known)}"


def _model_at(loc: Loc) -> type[Model]:
    """Find the model that reads the keys at `loc`; indexes and the names of `let` lead to no other model."""
    model: type[Model] = Config
    for step in loc:
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == step), None)
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
