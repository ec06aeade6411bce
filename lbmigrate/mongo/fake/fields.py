"""The field that a dotted path of an update names, and what an operator makes of it, as on a server."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from bson import Decimal128, Int64
from mongomock_ng.collection import _bit_updater, _inc_updater, _max_updater, _min_updater

from lbmigrate.mongo.fake.comparison import place
from lbmigrate.mongo.fake.elements import MISSING
from lbmigrate.records import Document

Updater = Callable[..., None]
BITS = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}


def reach(document: Any, parts: Sequence[str]) -> tuple[Any, list[str]]:
    """The last value that is there on the way along a path, and the names that are left."""
    value = document
    for depth, name in enumerate(parts):
        inner = _inner(value, name)
        if inner is MISSING:
            return value, list(parts[depth:])
        value = inner
    return value, []


def leads_into(value: Any, name: str) -> bool:
    """Whether a field of this name can stand in a value: any in a document, a number in an array."""
    return isinstance(value, dict) or (isinstance(value, list) and _is_index(name))


def change(document: Any, parts: Sequence[str], apply: Callable[[Document, str], None]) -> None:
    """Change one field; `apply` gets it in a document of its own, and what is on the way there is made."""
    name, *rest = parts
    value = _inner(document, name)
    field: Document = {} if value is MISSING else {name: value}
    if not rest:
        apply(field, name)
    elif leads_into(inner := field.get(name, {}), rest[0]):
        change(inner, rest, apply)
        if inner:  # of a field that was to be removed nothing is made on the way
            field[name] = inner
    if field:
        _put(document, name, field[name])
    elif value is not MISSING:
        _remove(document, name)


def corrected(updater: Updater) -> Updater:
    """The original's operator, but for those that compare and calculate otherwise than a server."""
    return {_bit_updater: _bits, _inc_updater: _add, _max_updater: _greater, _min_updater: _lesser}.get(
        updater, updater
    )


def _inner(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if _is_index(name) and int(name) < len(value) else MISSING
    return value.get(name, MISSING) if isinstance(value, dict) else MISSING


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _put(document: Any, name: str, value: Any) -> None:
    if isinstance(document, list):
        document += [None] * (int(name) + 1 - len(document))
        document[int(name)] = value
    else:
        document[name] = value


def _remove(document: Any, name: str) -> None:
    if isinstance(document, list):
        document[int(name)] = None  # the others keep their places
    else:
        del document[name]


def _greater(field: Document, name: str, value: Any, **_: Any) -> None:
    if name not in field or place(value) > place(field[name]):
        field[name] = value


def _lesser(field: Document, name: str, value: Any, **_: Any) -> None:
    if name not in field or place(value) < place(field[name]):
        field[name] = value


def _push(field: Document, name: str, value: Any) -> None:
    field[name] = [*field.get(name, []), value]


def _add_to_set(field: Document, name: str, value: Any) -> None:
    there = field.get(name, [])
    known = any(place(each) == place(value) for each in there)
    field[name] = there if known else [*there, value]


def _add(field: Document, name: str, value: Any, **_: Any) -> None:
    field[name] = _calculated(operator.add, field[name], value) if name in field else value


def _bits(field: Document, name: str, value: Any, **_: Any) -> None:
    for how, bits in value.items():
        field[name] = _calculated(BITS[how], field.get(name, 0), bits)


def _multiply(field: Document, name: str, value: Any) -> None:
    field[name] = _calculated(operator.mul, field.get(name, 0), value)


def _calculated(how: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """What comes of two numbers, in the wider type of the two."""
    if isinstance(one, Decimal128) or isinstance(other, Decimal128):
        return Decimal128(how(_decimal(one), _decimal(other)))
    result = how(one, other)
    wide = isinstance(one, Int64) or isinstance(other, Int64)
    return Int64(result) if wide and not isinstance(result, float) else result


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return Decimal(f"{value:.14e}" if isinstance(value, float) else value)  # of a double a server takes 15 digits


OURS: dict[str, Callable[..., None]] = {"$push": _push, "$addToSet": _add_to_set, "$mul": _multiply}
