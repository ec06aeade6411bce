"""The constants of the model: fitted on a reference machine, and kept beside this module with what they are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lbmigrate.estimate.model import Micros, Overlap

FILE = Path(__file__).with_name("fitted.json")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was measured: costs in microseconds, bytes, megabytes, and the yardsticks that other machines compare.

    `errors` are shares: nine in ten predictions of what was measured were no further off. `drift` is how far the
    yardstick moved on that very machine from one minute to the next. `machine` and `date` say where all is from.
    """

    date: str
    machine: Mapping[str, Any]
    micros: Micros
    overlap: Overlap
    yardsticks: Mapping[str, float]
    bytes: Mapping[str, float]
    memory: Mapping[str, float]
    journal: float
    drift: float
    errors: Mapping[str, float]
    cases: tuple[Mapping[str, Any], ...] = ()
    held_back: tuple[Mapping[str, Any], ...] = ()


def read(text: str) -> Fitted:
    """Constants as their file has them."""
    found = json.loads(text)
    lists = {name: tuple(found[name]) for name in ("cases", "held_back")}
    return Fitted(**{**found, **lists, "overlap": Overlap(**found["overlap"])})


@cache
def fitted() -> Fitted:
    """The constants that come with this version."""
    return read(FILE.read_text("utf-8"))
