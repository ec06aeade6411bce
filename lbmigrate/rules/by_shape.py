"""Documents of one shape are scored together, in columns of bytes. What this does not understand it leaves alone.

Whatever comes of it is what `scoring.score` makes of the same documents, one by one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.config.model import Source
from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.rules.mapped import let_paths
from lbmigrate.rules.scoring import whole
from lbmigrate.rules.variables import evaluate_let
from lbmigrate.values import formula
from lbmigrate.values.cells import Bools, Ints, integers, is_name, is_user, listed
from lbmigrate.values.columns import Floats
from lbmigrate.values.ids import IdType
from lbmigrate.values.layout import DATE, INT32, INT64, OBJECT_ID, STRING
from lbmigrate.values.raw_bson import Bytes, Column
from lbmigrate.values.shapes import Group

KINDS = {OBJECT_ID: "objectId", STRING: "string", INT32: "int", INT64: "int"}  # as `ids.id_type` calls them
LARGEST = 16_000  # bytes of a value that an event has a copy of
_EPOCH = dt.datetime(1970, 1, 1)
_MILLISECOND = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Judged:
    """Of a group of documents which `fit`, and of these their ids, users, points and times, a row for each document.

    Those that do not fit are to be scored one by one. `times` are in milliseconds since 1970-01-01 UTC. `approximate`
    is the field of a time that is a fallback's; `meta` has what events have copies of.
    """

    fit: Bools
    names: Column
    users: Column
    points: Ints
    times: Ints
    approximate: str
    meta: dict[str, Bytes]

    @property
    def kind(self) -> str:
        """Of which type the users' ids are."""
        return KINDS[self.users.kind]


def has_columns(source: Source) -> bool:
    """Whether documents of a source can be scored together at all."""
    user = source.user
    plain = user.lookup is None and user.strip is None and all(at.is_plain for at in source.moments)
    return plain and source.unwind is None and not formula.is_function(str(source.points))


def judge(group: Group, source: Source, zone: str, latest: dt.datetime | None) -> Judged | None:
    """What these documents of a source are scored as; None where none of them fits. `latest` as `scoring.score`."""
    names, users, timed = group.at("_id"), group.at(source.user.path), _timed(group, source)
    numbers = _numbers(group, source, ZoneInfo(zone))
    meta = _meta(group, source)
    if names is None or users is None or timed is None or numbers is None or meta is None:
        return None
    named, somebody = is_name(names), is_user(users)
    if named is None or somebody is None or not _is_of(users, source.user.coerce):
        return None
    path, times = timed
    columns, problems = numbers
    points = whole(formula.evaluate(str(source.points), columns, len(group)), source.bounds, problems)
    fit = named & somebody & (times >= _since(EARLIEST)) & (times < _since(LATEST))
    if latest is not None:
        fit &= times <= _since(latest)
    fit[list(problems)] = False
    return Judged(fit, names, users, points, times, path, meta)


def _since(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _is_of(users: Column, wanted: IdType | None) -> bool:
    return wanted is None or KINDS[users.kind] == wanted


def _timed(group: Group, source: Source) -> tuple[str, Ints] | None:
    """From which field the times are, empty for an exact one, and the times: of the first field that is there."""
    for number, at in enumerate(source.moments):
        column = group.at(at.path)
        if column is not None:
            path = "" if at.exact or number == 0 else at.path
            return (path, integers(column)) if column.kind == DATE else None
    return None


def _meta(group: Group, source: Source) -> dict[str, Bytes] | None:
    found = {name: group.at(path) for name, path in source.meta.items()}
    present = {name: column.values for name, column in found.items() if column is not None}
    return None if any(values.shape[1] > LARGEST for values in present.values()) else present


def _numbers(group: Group, source: Source, zone: ZoneInfo) -> tuple[dict[str, Floats], dict[int, str]] | None:
    """The `let` names as `scoring` has them, and the rows where one has no number."""
    paths = dict.fromkeys(path for let in source.let.values() for path in let_paths(let))
    columns: dict[str, Sequence[Any]] = {}
    for path in paths:
        column = group.at(path)
        values = [None] * len(group) if column is None else listed(column)
        if values is None:
            return None
        columns[path] = values
    numbers: dict[str, Floats] = {}
    problems: dict[int, str] = {}
    for name, let in source.let.items():
        taken = evaluate_let(name, let, columns, zone)
        numbers[name] = taken.values
        problems |= taken.problems
    return numbers, problems
