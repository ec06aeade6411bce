"""Documents of a source become score events, in columns; what cannot be scored becomes a reject with its reason.

Real histories are mostly clean and a little dirty. Every stage looks at the types of a whole column first, hands a
clean column on as it is, and only then goes through rows one by one. Stages report problems by row; a row with a
problem is a reject, and the first stage that has one gives the reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from itertools import compress
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from bson import Int64
from numpy.typing import NDArray

from lbmigrate.config.model import Source
from lbmigrate.records import LARGEST_SOURCE_ID, MOST_POINTS, Document, Reject, Scored, amount
from lbmigrate.rules import points_function
from lbmigrate.rules.mapped import paths
from lbmigrate.rules.moments import moments_of
from lbmigrate.rules.user_ref import user_ids
from lbmigrate.rules.variables import evaluate_let
from lbmigrate.values import formula
from lbmigrate.values.columns import Floats, Moments
from lbmigrate.values.excerpts import bson_type, excerpt
from lbmigrate.values.id_text import id_texts
from lbmigrate.values.ids import NotOne, id_type
from lbmigrate.values.limits import long_ids, lost_texts, oversized, untold_times
from lbmigrate.values.paths import pluck

Columns = dict[str, list[Any]]
Problems = dict[int, str]


def score(
    documents: Sequence[Document],
    source: Source,
    zone: str,
    origin: str = "backfill",
    source_ids: Sequence[Any] | None = None,
    latest: dt.datetime | None = None,
    functions: Container[str] = (),
    known: Sequence[Any] | None = None,
) -> Scored:
    """Score events for documents of `source`: each document becomes one event or one reject, in order.

    Bad data never raises. Points are whole: fractions are rounded to the nearest, halves to even. `zone` is the IANA
    name for times without an offset; `source_ids` replace the documents' `_id` (one each), and are texts already.
    Duplicates are kept. An action later than `latest` (naive UTC) is a reject. `functions` are the modules that points
    functions may be from; `known` are the users, one each, where their ids stand elsewhere (`NotOne` where
    none is named, or several). Raises LbmigrateError if a points function fails, ConfigError if the formula or function
    cannot be used.
    """
    columns = pluck(documents, paths(source))
    ids = [document.get("_id") for document in documents] if source_ids is None else list(source_ids)
    problems: Problems = {row: "no _id" for row, name in enumerate(ids) if name is None}
    _too_large(columns, source, ids, problems)
    users = _users(columns[source.user.path], source, problems, known)
    moments, approximate = _moments(columns, source, ZoneInfo(zone), problems)
    _not_yet(moments, approximate, source, latest, problems)
    numbers = _numbers(columns, source, ZoneInfo(zone), problems)
    if formula.is_function(str(source.points)):
        function = formula.load_function(str(source.points), functions)
        frame = points_function.frame(source, columns, numbers, users, moments)
        worth = points_function.worth(function, str(source.points), frame, problems)
    else:
        worth = formula.evaluate(str(source.points), numbers, len(ids))
    points = _int64s(whole(worth, source.bounds, problems))
    metas = _metas([columns[path] for path in source.meta.values()], tuple(source.meta), origin, len(ids))
    for row, path in approximate.items():
        metas[row]["approximate"] = path
    rejects = [Reject(ids[row], reason) for row, reason in sorted(problems.items())]
    texts = id_texts(ids) if source_ids is None else ids
    return Scored(_events(source.action, [users, points, ids, metas, moments, texts], problems), rejects)


def _too_large(columns: Columns, source: Source, ids: Sequence[Any], problems: Problems) -> None:
    """What names or fills an event has bounds, so that one document cannot be all that fits into memory."""
    path, users = source.user.path, columns[source.user.path]
    found = [("_id", long_ids(ids, LARGEST_SOURCE_ID)), ("_id", untold_times(ids))]
    found += [(f"user in {path}", long_ids(users)), (f"user in {path}", lost_texts(users))]
    found += [(path, oversized(columns[path])) for path in source.meta.values()]
    for subject, rows in found:
        for row, reason in rows.items():
            problems.setdefault(row, f"{subject} {reason}")


def _users(column: Sequence[Any], source: Source, problems: Problems, known: Sequence[Any] | None) -> list[Any]:
    given = user_ids(column, source.user) if known is None else known
    users = [None if isinstance(each, NotOne) else each for each in given] if known else list(given)
    for row in _absent(users):
        problems.setdefault(row, _no_user(column[row], source, given[row]))
    return users


def _no_user(value: Any, source: Source, named: Any) -> str:
    path = source.user.path
    if value is None:
        return f"no user ({path} is missing)"
    if isinstance(value, str) and not value.strip():
        return f"no user ({path} is blank)"
    if source.user.lookup:
        number = named.users if isinstance(named, NotOne) else 0
        who = f"{amount(number, 'user')} have" if number else "no user has"
        return f"{who} the {source.user.looked_up} that is in {path}"
    if id_type(value) is None:
        return f"user of type {bson_type(value)} in {path}"
    wanted = "an ObjectId" if source.user.coerce == "objectId" else "a string"
    return f"user in {path} is not {wanted} ({excerpt(value)})"


def _moments(columns: Columns, source: Source, zone: ZoneInfo, problems: Problems) -> tuple[Moments, dict[int, str]]:
    """When each action happened, and for rows whose time is a fallback's, and not an exact one, from which."""
    first, *fallbacks = source.moments
    moments = moments_of(first, columns, zone)
    approximate = {}
    for at in fallbacks:
        rows = _absent(moments)
        some = {path: [columns[path][row] for row in rows] for path in at.paths}
        for row, moment in zip(rows, moments_of(at, some, zone), strict=True):
            if moment is not None:
                moments[row] = moment
                if not at.exact:
                    approximate[row] = at.path
    for row in _absent(moments):
        problems.setdefault(row, _no_time({path: columns[path][row] for at in source.moments for path in at.paths}))
    return moments, approximate


def _not_yet(
    moments: Moments, approximate: Mapping[int, str], source: Source, latest: dt.datetime | None, problems: Problems
) -> None:
    """An action far ahead of the clock is a mistyped year, or a plan; it would be the newest week of every board."""
    if latest is None:
        return
    for row, moment in enumerate(moments):
        if moment is not None and moment > latest:
            problems.setdefault(row, f"{approximate.get(row, source.at[0])} is in the future ({moment})")


def _no_time(tried: Mapping[str, Any]) -> str:
    given = next((f"{path}: {excerpt(value)}" for path, value in tried.items() if value is not None), "all missing")
    return f"no usable time in {', '.join(tried)} ({given})"


def _numbers(columns: Columns, source: Source, zone: ZoneInfo, problems: Problems) -> dict[str, Floats]:
    numbers = {}
    for name, let in source.let.items():
        taken = evaluate_let(name, let, columns, zone)
        numbers[name] = taken.values
        for row, reason in taken.problems.items():
            problems.setdefault(row, reason)
    return numbers


def whole(values: NDArray[Any], bounds: tuple[int, int], problems: Problems) -> NDArray[np.int64]:
    """Points as whole numbers; rows that have none, or one out of bounds, become problems."""
    finite = np.isfinite(values)
    small = finite & (values >= -MOST_POINTS) & (values <= MOST_POINTS)
    for row in np.flatnonzero(~small).tolist():
        reason = f"points overflow ({values[row]:.6g})" if finite[row] else f"points are not a number ({values[row]})"
        problems.setdefault(row, reason)
    rounded = np.rint(np.where(small, values, 0)).astype(np.int64)
    for row in np.flatnonzero(small & ((rounded < bounds[0]) | (rounded > bounds[1]))).tolist():
        end = f"below {bounds[0]}" if rounded[row] < bounds[0] else f"above {bounds[1]}"
        problems.setdefault(row, f"points are {end} ({rounded[row]})")
    return rounded


def _int64s(numbers: NDArray[np.int64]) -> list[Int64]:
    listed = numbers.tolist()
    shared = {number: Int64(number) for number in set(listed)}
    return [shared[number] for number in listed]


def _metas(columns: Sequence[list[Any]], names: Sequence[str], origin: str, length: int) -> list[Document]:
    metas: list[Document] = [{} for _ in range(length)]
    for name, column in zip(names, columns, strict=True):
        for meta, value in zip(metas, column, strict=True):
            if value is not None:
                meta[name] = value
    for meta in metas:
        meta["origin"] = origin
    return metas


def _events(action: str, columns: Sequence[Sequence[Any]], problems: Problems) -> list[Document]:
    if problems:
        clean = [row not in problems for row in range(len(columns[0]))]
        columns = [list(compress(column, clean)) for column in columns]
    users, points, ids, metas, moments, texts = columns
    return [
        {
            "_id": f"{action}:{text}",
            "userId": user,
            "actionType": action,
            "points": worth,
            "sourceId": name,
            "meta": meta,
            "createdAt": moment,
        }
        for text, user, worth, name, meta, moment in zip(texts, users, points, ids, metas, moments, strict=True)
    ]


def _absent(column: Sequence[Any]) -> list[int]:
    return [row for row, value in enumerate(column) if value is None]
