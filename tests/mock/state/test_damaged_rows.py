"""Rows of the state that somebody edited or something damaged: every verb names them, and none of them is in the way.

One field of one row at a time holds nothing, or something that it must not. tests/mongod/state does the same with every
type of BSON, which the in-memory database does not know.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from lbmigrate.mongo import fake
from tests.damage import EVERY_VALUE, Place, begun, done, walk

ODD = ("missing", "null", "int", "text", "time", "array-of-objects", "object")
HALFWAY = ("step", "chunk", "watermark")
KINDS = (*HALFWAY, "run", "verdict", "lock", "control", "tail", "backup", "odd", "boards", "profiles", "forgotten")


def few(field: str) -> dict[str, Any]:
    """One odd value, another one for each field."""
    name = ODD[zlib.crc32(field.encode()) % len(ODD)]
    return {name: EVERY_VALUE[name]}


QUICK = {"lock"}  # the others are walked by `make test-slow`


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else [pytest.mark.slow]) for kind in KINDS]
)
def test_a_field_that_was_damaged_stops_no_verb_and_the_next_run_puts_it_right(kind: str) -> None:
    with fake.client() as client:
        place = Place(client, "app", begun if kind in HALFWAY else done)
        assert walk(place, kind, few, ("status", "history", "plan", "rollback --dry-run"), ("backfill",)) == []
