"""How a row of the state is read: as far as it is what its kind must be, and with all that is wrong with it named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from lbmigrate.records import Document
from lbmigrate.state.forms import ABSENT, FENCE, Shape, is_text
from lbmigrate.state.shapes import COLLECTION, NEXT_RUN, SHAPES
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.excerpts import bson_type, excerpt
from lbmigrate.values.limits import LOST, SHOWN, named

IDS = {name: re.compile(shape.ids, re.DOTALL).fullmatch for name, shape in SHAPES.items()}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it must be with one row. Without a field it is the row itself that nobody knows."""

    row: Any
    field: str
    what: str
    then: str

    def __str__(self) -> str:
        return hidden(f"row {named(self.row)!r} of {COLLECTION}: {self.what}; {self.then}")


def shape_of(row: Mapping[str, Any]) -> Shape | None:
    """The shape that a row must have, by its `_id`; None for one that is none of ours."""
    name = row.get("_id")
    if not is_text(name):
        return None
    kind = name if name in SHAPES else name.partition(":")[0]
    return SHAPES[kind] if kind in IDS and IDS[kind](name) else None


def judge(row: Document, unread: Sequence[str] = ()) -> tuple[Document, list[Flaw]]:
    """A row as it may be relied on, empty where it may not at all, and what is wrong with it.

    Nothing is said of the fields `unread`, which were not asked for.
    """
    shape = shape_of(row)
    if shape is None:
        return {}, [_stranger(row)]
    wrong = [name for name, each in shape.fields.items() if name not in unread and not each.fits(row, name)]
    if not wrong:
        return row, []
    flaws = [_flaw(row, name, shape) for name in wrong]
    if any(shape.fields[name].needed for name in wrong):
        return {}, flaws
    return {
        **{name: value for name, value in row.items() if name not in wrong},
        **dict(_safe(row, wrong, shape)),
    }, flaws


def _safe(row: Document, wrong: list[str], shape: Shape) -> Iterator[tuple[str, Any]]:
    for name in wrong:
        value = shape.fields[name].instead(row)
        if value is not ABSENT:
            yield name, value


def examine(row: Document) -> list[Flaw]:
    """Everything that is wrong with a row but a chunk's users: its fields, its kind, its fence, a chunk's bounds."""
    shape = shape_of(row)
    if shape is None:
        return [_stranger(row)]
    flaws = judge(row, ["users"])[1]
    if problem := shape.problem(row):
        flaws.append(Flaw(row["_id"], "bounds", problem, _then(row, shape)))
    kind = row["_id"].partition(":")[0]
    if row.get("kind") != kind:
        fact = f"kind is {_shown(row, 'kind')} and must be {kind!r}"
        then = _then(row, shape) if shape.record(row) else f"it goes by its _id; {NEXT_RUN} puts it right"
        flaws.append(Flaw(row["_id"], "kind", fact, then))
    if "fence" not in shape.fields and not FENCE.test(row.get("fence")):
        fact = f"fence is {_shown(row, 'fence')} and must be {FENCE.words}"
        flaws.append(Flaw(row["_id"], "fence", fact, f"{NEXT_RUN} puts it right"))
    return flaws


def _flaw(row: Document, name: str, shape: Shape) -> Flaw:
    fact = f"{name} is {_shown(row, name)} and must be {shape.fields[name].form.words}"
    return Flaw(row["_id"], name, fact, _then(row, shape))


def _then(row: Mapping[str, Any], shape: Shape) -> str:
    return f"nothing depends on it; {_deleting(row)}" if shape.record(row) else shape.then


def _stranger(row: Mapping[str, Any]) -> Flaw:
    return Flaw(row.get("_id"), "", "lbmigrate has no row with such an _id", f"nothing reads it; {_deleting(row)}")


def _deleting(row: Mapping[str, Any]) -> str:
    """The command that removes a row, whatever its id is."""
    name = row.get("_id")
    plain = isinstance(name, str | ObjectId) and len(str(name)) <= SHOWN and LOST not in str(name)
    return (
        f"next: db.{COLLECTION}.deleteMany({{_id: {name!r}}})"
        if plain
        else (f"next: db.{COLLECTION}.deleteMany({{_id: {{$type: {bson_type(name)!r}}}}})")
    )


def _shown(row: Mapping[str, Any], name: str) -> str:
    return excerpt(row[name]) if name in row else "missing"
