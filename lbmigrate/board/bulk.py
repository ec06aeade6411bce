"""The entries of a period as scores for a sorted set, a million in seconds: batches of one shape as columns."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from lbmigrate.board.members import counted
from lbmigrate.board.sorted_sets import EXACT, Batch, Showing, Standing, exact, refuse_inexact

if TYPE_CHECKING:
    from lbmigrate.values.raw_bson import Column

FIELDS = {"userId": 1, "period": 1, "score": 1, "rev": 1, "optOutSnapshot": 1}  # and `_id`, as `is_whole` wants it
READ_AT_ONCE = 20_000  # entries
BY_INDEX = 4  # how many times as long an entry takes by an index
HEX = 24  # digits of an ObjectId


def batches(entries: Collection[Any], period: str) -> Iterator[Batch]:
    """Every entry of a period. Raises LbmigrateError for a score beyond EXACT."""
    found = entries.find_raw_batches({"period": period}, FIELDS, batch_size=READ_AT_ONCE).hint(_order(entries, period))
    with ThreadPoolExecutor(1) as ahead:  # the server reads the next batch while this one is on its way to Redis
        coming = ahead.submit(next, found, b"")
        while raw := coming.result():
            coming = ahead.submit(next, found, b"")
            yield _batch(raw, entries.codec_options)


def _order(entries: Collection[Any], period: str) -> list[tuple[str, int]] | None:
    """As documents lie on disk where many are of this period: by an index an entry takes four times as long."""
    of_period, all_of_them = entries.count_documents({"period": period}), entries.estimated_document_count()
    return [("$natural", 1)] if BY_INDEX * of_period > all_of_them else None


def _batch(raw: bytes, options: CodecOptions[Any]) -> Batch:
    from lbmigrate.values import raw_bson  # noqa: PLC0415 - numpy: an app that shows a board need not load it

    found = raw_bson.columns(raw)
    usual = {"userId": raw_bson.OBJECT_ID, "score": raw_bson.INT64, "rev": raw_bson.INT64}
    usual |= {"_id": raw_bson.STRING, "period": raw_bson.STRING, "optOutSnapshot": raw_bson.BOOLEAN}
    if found is None or {name: column.kind for name, column in found.items()} != usual:
        standings = [each for entry in bson.decode_all(raw, options) for each in counted(entry)]
        shown = {each.member: exact(each) for each in standings if each.showing == Showing.SHOWN}
        return Batch(shown, [each for each in standings if each.showing != Showing.SHOWN])
    return _of_columns(found)


def _of_columns(found: dict[str, Column]) -> Batch:
    scores = found["score"].numbers()
    order = scores.argsort(
        kind="stable"
    )  # by score: where one goes in, the next one does, and the server has it at hand
    scores, digits = scores[order], found["userId"].values[order].tobytes().hex()
    members = [digits[start : start + HEX] for start in range(0, len(digits), HEX)]
    for row in ((scores > EXACT) | (scores < -EXACT)).nonzero()[0].tolist():
        refuse_inexact(members[row], int(scores[row]))
    shown = dict(zip(members, scores.tolist(), strict=True))
    hidden = [members[row] for row in found["optOutSnapshot"].truths()[order].nonzero()[0].tolist()]
    return Batch(shown, [Standing(member, shown.pop(member), "", Showing.HIDDEN) for member in hidden])
