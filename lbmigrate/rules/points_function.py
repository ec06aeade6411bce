"""Points from an operator's own function: the table that it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.values.coerce import Floats, Moments

if TYPE_CHECKING:
    import pandas as pd


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


def worth(function: Callable[..., Any], reference: str, frame: pd.DataFrame, problems: Container[int]) -> NDArray[Any]:
    """Points from `function`, called with the rows that have no problem so far; 0 in the others.

    `reference` is its name, `module:function`. Raises LbmigrateError if the function fails, or returns something
    else than a number for each row.
    """
    clean = np.array([row not in problems for row in range(len(frame))], dtype=bool)
    if not clean.any():
        return np.zeros(len(frame))
    numbers = _called(function, reference, frame[clean].reset_index(drop=True))
    points = np.zeros(len(frame), dtype=numbers.dtype)
    points[clean] = numbers
    return points


def _called(function: Callable[..., Any], reference: str, frame: pd.DataFrame) -> NDArray[Any]:
    import pandas as pd  # noqa: PLC0415  as above

    rows = pd.RangeIndex(len(frame))
    try:
        result = pd.Series(function(frame)).sort_index()
        signed = isinstance(result.dtype, np.dtype) and result.dtype.kind == "i"
        values = result.to_numpy() if signed else result.to_numpy(dtype=np.float64, na_value=np.nan)
    except Exception as error:
        raise LbmigrateError(f"points: {reference} failed: {error!r}", hint=f"mend {reference}") from error
    if not result.index.equals(rows):
        raise LbmigrateError(
            f"points: {reference} must return one number for each of the {len(rows)} rows, with the frame's index",
            hint=f"mend {reference}",
        )
    return values
