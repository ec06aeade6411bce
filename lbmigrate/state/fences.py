"""Fences that were edited or damaged: a lock whose fence cannot be counted up, rows that are above every run."""

from __future__ import annotations

import math
from typing import Any

from pymongo.collection import Collection

from lbmigrate.records import Document
from lbmigrate.state.conditions import NO_FENCE, OURS


def repair(rows: Collection[Any], lock: str) -> None:
    """Give a lock whose fence cannot be counted up the highest that any row carries. Whoever holds it loses it."""
    damaged: Document = {"_id": lock, **NO_FENCE}
    if rows.find_one(damaged, {"_id": 1}):
        rows.update_one(damaged, {"$set": {"fence": highest(rows)}})


def highest(rows: Collection[Any]) -> int:
    """The highest fence that any row carries; 0 where none does."""
    fenced = {"$and": [OURS, {"$nor": [NO_FENCE]}]}
    row = rows.find_one(fenced, {"fence": 1}, sort=[("fence", -1)])
    return math.ceil(row["fence"]) if row else 0
