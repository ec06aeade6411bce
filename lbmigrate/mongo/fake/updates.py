"""What a server refuses in an update, before anything of the document is changed; the original goes on without a word.

Paths with `$`, `$[]` or `$[name]` in them are left to the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bson import json_util
from pymongo.errors import WriteError

from lbmigrate.mongo.fake.comparison import identity
from lbmigrate.mongo.fake.elements import MISSING
from lbmigrate.mongo.fake.fields import OURS, change, leads_into, reach
from lbmigrate.mongo.fake.types import TYPES, type_name
from lbmigrate.records import Document

BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH, NOT_VIABLE, CONFLICT, DOLLAR, EMPTY_NAME, IMMUTABLE = (
    2, 9, 14, 28, 40, 52, 56, 66,
)  # fmt: skip
OPERATORS = {
    "$set", "$setOnInsert", "$unset", "$inc", "$mul", "$min", "$max", "$currentDate", "$bit", "$rename", "$push",
    "$addToSet", "$pull", "$pullAll", "$pop",
}  # fmt: skip
CALCULATE = {"$inc", "$mul"}
TAKE_OUT = {"$pull", "$pullAll", "$pop"}  # these make nothing on the way to what is not there
OF_ARRAYS = TAKE_OUT | {"$push", "$addToSet"}

Change = tuple[str, str, Any]  # the operator, the path and the operand


def check(document: Document, update: Mapping[str, Any], inserted: bool, id_given: bool) -> None:
    """Raise WriteError where a server refuses the update of this document.

    `inserted` says that an upsert makes the document, `id_given` that its `_id` stands already.
    """
    if not any(name[:1] == "$" for name in update):
        return  # another document in place of this one
    changes = list(_changes(update))
    renamed = [(path, to) for name, path, to in changes if name == "$rename"]
    _check_renamed(renamed)
    _check_paths([path for _, path, _ in changes] + [to for _, to in renamed])
    for name, path, operand in changes:
        parts = path.split(".")
        if not is_plain(path) or (name == "$setOnInsert" and not inserted):
            continue
        _check_place(document, name, parts, operand)
        if id_given and "_id" in (parts[0], name == "$rename" and operand.split(".")[0]):
            _check_id(document, name, parts, operand)


def is_plain(path: str) -> bool:
    """Whether a path names one field, and not those that a filter or an array decides."""
    return not any(part[:1] == "$" for part in path.split("."))


def left_over(document: Document, update: Mapping[str, Any]) -> Document:
    """Do what the original does not, and return the rest of the update."""
    return {name: rest for name, fields in update.items() if (rest := _left_over(document, name, fields)) is not None}


def _left_over(document: Document, name: str, fields: Any) -> Any:
    if name in TAKE_OUT:
        return {
            path: how for path, how in fields.items() if not (is_plain(path) and reach(document, path.split("."))[1])
        }
    if name not in OURS:
        return fields
    rest = {}
    for path, operand in fields.items():
        if is_plain(path) and not _has_modifiers(operand):
            change(document, path.split("."), partial(OURS[name], value=operand))
        else:
            rest[path] = operand
    return rest or None


def _has_modifiers(operand: Any) -> bool:
    return isinstance(operand, dict) and "$each" in operand


def _changes(update: Mapping[str, Any]) -> Iterator[Change]:
    for name, fields in update.items():
        if name not in OPERATORS:
            raise WriteError(f"Unknown modifier: {name}. Expected a valid update modifier", FAILED_TO_PARSE)
        if not isinstance(fields, Mapping):
            raise WriteError(f"Modifiers operate on fields but we found type {type_name(fields)}", FAILED_TO_PARSE)
        yield from ((name, path, operand) for path, operand in fields.items())


def _check_renamed(pairs: Sequence[tuple[str, Any]]) -> None:
    for path, to in pairs:
        if not isinstance(to, str):
            raise WriteError(f"The 'to' field for $rename must be a string: {_shown(path, to)}", BAD_VALUE)
        if path == to:
            raise WriteError(f"The source and target field for $rename must differ: {_shown(path, to)}", BAD_VALUE)


def _check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that name nothing, and two of which one is the other or leads through it."""
    seen: set[tuple[str, ...]] = set()
    for path in paths:
        parts = tuple(path.split("."))
        if not all(parts):
            raise WriteError(f"The update path '{path}' contains an empty field name.", EMPTY_NAME)
        if parts[0][:1] == "$":
            raise WriteError(f"The dollar ($) prefixed field '{path}' is not valid for storage.", DOLLAR)
        met = next((each for each in seen if each[: len(parts)] == parts[: len(each)]), None)
        if met:
            at = ".".join(met if len(met) < len(parts) else parts)
            raise WriteError(f"Updating the path '{path}' would create a conflict at '{at}'", CONFLICT)
        seen.add(parts)


def _check_place(document: Document, name: str, parts: list[str], operand: Any) -> None:
    if name in CALCULATE and not TYPES["number"](operand):
        does = "increment" if name == "$inc" else "multiply"
        raise WriteError(f"Cannot {does} with non-numeric argument: {_shown(parts[-1], operand)}", TYPE_MISMATCH)
    value, rest = reach(document, parts)
    if name == "$rename":
        _check_rename(document, parts, operand.split("."))
    elif not rest:
        _check_value(name, parts, value)
    elif not leads_into(value, rest[0]) and name in TAKE_OUT:
        _refuse_way(parts, value, rest)
    elif not leads_into(value, rest[0]) and name != "$unset":
        _refuse_place(parts, value, rest)


def _check_value(name: str, parts: list[str], value: Any) -> None:
    """Refuse to calculate with what is no number, and to change the elements of what is no array."""
    path = ".".join(parts)
    if name in CALCULATE and not TYPES["number"](value):
        told = f"Cannot apply {name} to a value of non-numeric type"
        raise WriteError(f"{told}: '{path}' is of type {type_name(value)}", TYPE_MISMATCH)
    if name in OF_ARRAYS and not isinstance(value, list):
        told = f"The field '{path}' must be an array but is of type {type_name(value)}"
        raise WriteError(told, TYPE_MISMATCH if name == "$pop" else BAD_VALUE)
    if name == "$bit" and (isinstance(value, bool) or not isinstance(value, int)):
        raise WriteError(f"Cannot apply $bit to a value of non-integral type: '{path}'", BAD_VALUE)


def _check_rename(document: Document, source: list[str], target: list[str]) -> None:
    value, rest = reach(document, source)
    if rest:
        if not leads_into(value, rest[0]):
            _refuse_way(source, value, rest)
        return  # there is nothing to rename
    for which, parts in (("source", source), ("destination", target)):
        if any(isinstance(reach(document, parts[:depth])[0], list) for depth in range(1, len(parts))):
            raise WriteError(f"The {which} field cannot be an array element: '{'.'.join(parts)}'", BAD_VALUE)
    value, rest = reach(document, target)
    if rest and not leads_into(value, rest[0]):
        _refuse_place(target, value, rest)


def _refuse_place(parts: list[str], value: Any, rest: list[str]) -> None:
    inside = _shown(parts[-len(rest) - 1], value)
    raise WriteError(f"Cannot create field '{rest[0]}' in element {inside}", NOT_VIABLE)


def _refuse_way(parts: list[str], value: Any, rest: list[str]) -> None:
    told = f"Cannot use the part ({rest[0]}) of ({'.'.join(parts)}) to traverse the element"
    raise WriteError(f"{told} ({_shown(parts[-len(rest) - 1], value)})", NOT_VIABLE)


def _check_id(document: Document, name: str, parts: list[str], operand: Any) -> None:
    value, rest = reach(document, parts)
    same = name in ("$set", "$setOnInsert") and not rest and identity(value) == identity(operand)
    if not same and not (rest and name in {"$unset", "$rename"} | TAKE_OUT):
        raise WriteError(
            f"Performing an update on the path '{'.'.join(parts)}' would modify the immutable field '_id'", IMMUTABLE
        )


def _shown(name: str, value: Any) -> str:
    return f"{{{name}: {json_util.dumps(None if value is MISSING else value)}}}"
