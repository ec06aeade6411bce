"""Points from an operator's own function: the table that it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.records import amount
from lbmigrate.values.columns import Floats, Moments

if TYPE_CHECKING:
    import pandas as pd


class FunctionFailed(LbmigrateError):
    """The function raised, which may be for one row alone."""


FEW = 20  # rows of a batch that a function may fail for; more are a fault of the function


def frame(
    source: Source,
    columns: Mapping[str, list[Any]],
    numbers: Mapping[str, Floats],
    users: list[Any],
    moments: Moments,
) -> pd.DataFrame:
    """What a points function sees, a row per document.

    `userId` and `createdAt` of the event, the `let` names (float64), and the names in `meta` (objects); of equal names
    the first of these counts.
    """
    import pandas as pd  # noqa: PLC0415  half a second of processor time that only a function is worth

    chosen = {name: pd.Series(columns[path], dtype=object) for name, path in source.meta.items()}
    event = {"userId": pd.Series(users, dtype=object), "createdAt": pd.Series(moments, dtype="datetime64[ms]")}
    return pd.DataFrame({**chosen, **numbers, **event})


def worth(function: Callable[..., Any], reference: str, frame: pd.DataFrame, problems: dict[int, str]) -> NDArray[Any]:
    """Points from `function`, called with the rows that have no problem so far; 0 in the others.

    `reference` is its name, `module:function`. Rows that it fails for become problems. Raises LbmigrateError where they
    are more than FEW, or all of several: that is no fault of a document.
    """
    rows = np.array([row for row in range(len(frame)) if row not in problems], dtype=np.int64)
    if not len(rows):
        return np.zeros(len(frame))
    failed: dict[int, FunctionFailed] = {}
    numbers = _halved(function, reference, frame, rows, failed)
    if 1 < len(rows) == len(failed):
        raise failed[int(rows[0])]
    problems |= {row: str(error) for row, error in failed.items()}
    points = np.zeros(len(frame), dtype=numbers.dtype)
    points[rows] = numbers
    return points


def _halved(
    function: Callable[..., Any],
    reference: str,
    frame: pd.DataFrame,
    rows: NDArray[np.int64],
    failed: dict[int, FunctionFailed],
) -> NDArray[Any]:
    """Points of these rows; where the function fails, half by half, and 0 for a row that it fails for alone."""
    try:
        return _called(function, reference, frame.iloc[rows].reset_index(drop=True))
    except FunctionFailed as error:
        if len(rows) == 1:
            failed[int(rows[0])] = error
            return np.zeros(1, dtype=np.int64)
        if len(failed) >= FEW:
            raise
    halves = [_halved(function, reference, frame, half, failed) for half in np.array_split(rows, 2)]
    return np.concatenate(halves)


def _called(function: Callable[..., Any], reference: str, frame: pd.DataFrame) -> NDArray[Any]:
    import pandas as pd  # noqa: PLC0415  as above

    rows = pd.RangeIndex(len(frame))
    try:
        result = pd.Series(function(frame)).sort_index()
        signed = isinstance(result.dtype, np.dtype) and result.dtype.kind == "i"
        values = result.to_numpy() if signed else result.to_numpy(dtype=np.float64, na_value=np.nan)
    except Exception as error:
        raise FunctionFailed(f"points: {reference} failed: {error!r}", hint=f"fix {reference}") from error
    if not result.index.equals(rows):
        told = f"points: {reference} must return one number for each of {amount(len(rows), 'row')}"
        raise LbmigrateError(f"{told}, with the frame's index", hint=f"fix {reference}")
    return values
