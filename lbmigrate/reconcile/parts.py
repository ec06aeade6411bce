"""A range of the ledger in parts that memory has room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lbmigrate.ledger.groups import events_of
from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Document
from lbmigrate.rules.strays import weight
from lbmigrate.run.context import Context
from lbmigrate.values.ids import portions

HELD, HELD_SIZE = 20_000, 4_000_000  # events of a range that are held at once, and characters of their ids


@dataclass(frozen=True, slots=True)
class Part:
    """Events of a range of the ledger that are next to each other, up to the `_id` `high`."""

    events: list[Document]
    high: Any


def parts(context: Context, bounds: Bounds) -> Iterator[Part]:
    """A range of the ledger in parts that memory has room for, whatever stands in it; usually one."""
    last: Part | None = None
    for events in portions(events_of(context, bounds.condition()), weight, HELD, HELD_SIZE):
        if last:
            yield last
        last = Part(events, events[-1]["_id"])
    if last:
        yield replace(last, high=bounds.high)
