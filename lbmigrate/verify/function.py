"""Points from an operator's own function, asked about one document.

The function is the rule itself, so there is no second reading of it: it is called through the same door as in a
backfill, with a table of one row. Slow, and a sample or a recheck is what it is meant for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lbmigrate.config.model import Config, Source
from lbmigrate.records import Document
from lbmigrate.rules import points_function
from lbmigrate.values import formula
from lbmigrate.verify.values import getter

Function = Callable[[Document, Mapping[str, float], Any, dt.datetime], float]


def function_of(config: Config, source: Source) -> Function | None:
    """The function that `points` names; None where it is a number or a formula."""
    reference = str(source.points)
    if not formula.is_function(reference):
        return None
    called = formula.load_function(reference, config.functions)

    def worth(document: Document, numbers: Mapping[str, float], user: Any, at: dt.datetime) -> float:
        columns = {path: [getter(path)(document)] for path in source.meta.values()}
        rows = {name: np.array([value]) for name, value in numbers.items()}
        problems: dict[int, str] = {}
        frame = points_function.frame(source, columns, rows, [user], [at])
        found = points_function.worth(called, reference, frame, problems)
        return float("nan") if problems else float(found[0])

    return worth
