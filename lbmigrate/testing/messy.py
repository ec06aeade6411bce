"""Documents as old histories have them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from bson import Decimal128, Int64, ObjectId

from lbmigrate.records import Document

MISSING = object()
ODD_VALUES: tuple[Any, ...] = (
    MISSING, None, "", " ", "today", "3/13", "2024-02-30", "2024-05-06T07:08:09+02:00", "12", "NaN",
    0, -1, 1_700_000_000, Int64(1_700_000_000_000), 1.7e12, 0.1, 1e308, float("nan"), float("inf"), Int64(2**63 - 1),
    True, [], ["done"], {}, {"$oid": "x"}, b"\xff\x00", Decimal128("1.5"), ObjectId("0" * 24),
    dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_000), "\u202e\x1b[31m\u0000", "é" * 300,
)  # fmt: skip


def messy(
    documents: Iterable[Document], *, share: float = 0.3, seed: int = 0, spare: Collection[str] = ("_id",)
) -> Iterator[Document]:
    """The documents, a `share` of them with a value that old data holds in the wrong place. Equal seeds, equal mess.

    A damaged document has one top-level field of its own replaced or removed; never one of `spare`.
    """
    rng = random.Random(seed)
    for document in documents:
        fields = sorted(document.keys() - set(spare))
        yield _damaged(document, rng.choice(fields), rng.choice(ODD_VALUES)) if _hit(rng, share, fields) else document


def _hit(rng: random.Random, share: float, fields: list[str]) -> bool:
    return rng.random() < share and bool(fields)


def _damaged(document: Document, field: str, value: Any) -> Document:
    rest = {name: each for name, each in document.items() if name != field}
    return rest if value is MISSING else rest | {field: value}
