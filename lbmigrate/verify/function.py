"""Points from an operator's own function, asked about many documents at once.

The function is the rule itself, so there is no second reading of it: it is called through the same door as in a
backfill. A table of one row costs nearly a millisecond whatever the function does, so it gets tables of many.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lbmigrate.config.model import Config, Source
from lbmigrate.records import Document
from lbmigrate.rules import points_function
from lbmigrate.values import formula
from lbmigrate.verify.values import getter


class Case(NamedTuple):
    """A document with all that a rule may ask of it."""

    document: Document
    user: Any
    at: dt.datetime
    approximate: bool
    numbers: Mapping[str, float]


Function = Callable[[Sequence[Case]], list[float]]


def function_of(config: Config, source: Source) -> Function | None:
    """The function that `points` names, NaN where it fails; None where it is a number or a formula."""
    reference = str(source.points)
    if not formula.is_function(reference):
        return None
    return partial(_worth, source, formula.load_function(reference, config.functions))


def _worth(source: Source, called: Callable[..., Any], cases: Sequence[Case]) -> list[float]:
    if not cases:
        return []
    columns = {path: [getter(path)(case.document) for case in cases] for path in source.meta.values()}
    rows = {name: np.array([case.numbers[name] for case in cases]) for name in source.let}
    table = points_function.frame(source, columns, rows, [case.user for case in cases], [case.at for case in cases])
    problems: dict[int, str] = {}
    try:
        found = points_function.worth(called, str(source.points), table, problems)
    except points_function.FunctionFailed:  # for so many that a backfill would stop: each speaks for itself
        return [worth for case in cases for worth in _worth(source, called, [case])]
    return [float("nan") if row in problems else float(worth) for row, worth in enumerate(found)]
