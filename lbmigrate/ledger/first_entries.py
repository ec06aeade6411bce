"""The entries of users who have none yet: finished BSON, made of pieces that many of them share.

What an entry has of its user is encoded once for each user, and what it has of its period once for each period, the
ordinary way; the numbers are bytes of columns. The first and the last one are compared with what the ordinary way makes
of them, and where they differ, or anything is unusual, it is left to that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson import Int64
from bson.codec_options import CodecOptions
from pymongo.database import Database

from lbmigrate.ledger.batches import Ready
from lbmigrate.ledger.changes import born
from lbmigrate.ledger.entry_writes import insert_entries
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.people import People
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.rules.folded import Folded
from lbmigrate.rules.ranking import Sums, folded
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.values.cells import as_bytes, as_list, filled
from lbmigrate.values.id_text import id_texts
from lbmigrate.values.layout import layout

FEWEST = 24  # users and days of theirs; fewer entries are written faster one by one
_NUMBERS = {"score": Int64(0), "streak": 0, "events": Int64(0), "lastEventAt": dt.datetime(1970, 1, 1)}


@dataclass(frozen=True, slots=True)
class FirstEntries:
    """All that is to be written, as `changes.Differences` has it."""

    users: list[Any]
    periods: set[str]
    documents: list[Ready]
    changed: int = 0

    @property
    def inserted(self) -> int:
        return len(self.documents)

    def write(self, database: Database[Any], histograms: Histograms) -> dict[Any, None]:
        """Write all of it; the users for whom somebody else was faster."""
        return dict.fromkeys(insert_entries(database[ENTRIES], self.documents, histograms.void))


def first_entries(
    context: Context, ledger: Sums, people: People, marked: Container[str], now: dt.datetime
) -> FirstEntries | None:
    """The entries that the ledger comes to, where nobody of these users has any; None where one is unusual."""
    kinds = folded(ledger, context.config.periods)
    periods = {each.labels[place] for each in kinds for place in np.unique(each.label).tolist()}
    if (
        len(ledger) < FEWEST
        or is_fake(context.target)
        or Leavers(context.state)
        or any(period in marked for period in periods)
    ):
        return None
    users = ledger.owners()
    shown = people.shown(users)
    profiles: list[Document] = [shown[user] | born(now) for user in kinds[0].users]
    codecs = context.target.codec_options
    made = encoded(kinds, profiles, codecs)
    return None if made is None else FirstEntries(users, periods, list(map(Ready, made)))


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What all entries of a user share, encoded once for all kinds of periods, with how long it is; in step."""

    texts: list[bytes]
    owners: list[bytes]
    rests: list[bytes]
    lengths: npt.NDArray[np.int32]


def encoded(kinds: Sequence[Folded], profiles: Sequence[Document], codecs: CodecOptions[Any]) -> list[bytes] | None:
    """Each entry of these kinds of periods, with what is in the `profiles` of the users; None where one is unusual."""
    if any(
        kind.score.dtype == object or (kind.stands != kind.events).any() or (kind.score < -LARGEST_SCORE).any()
        for kind in kinds
    ):
        return None
    pieces = _pieces(kinds[0].users, profiles, codecs)
    parts = [_put_together(kind, pieces, codecs) for kind in kinds]
    usual = all(_are_as_usual(kind, profiles, codecs, made) for kind, made in zip(kinds, parts, strict=True))
    return [entry for made in parts for entry in made] if usual else None


def _pieces(users: Sequence[Any], profiles: Sequence[Document], codecs: CodecOptions[Any]) -> _Pieces:
    texts = [text.encode() for text in id_texts(users)]
    owners = [text + b"\0" + _elements({"userId": user}, codecs) for text, user in zip(texts, users, strict=True)]
    rests = [_elements(profile, codecs) + b"\0" for profile in profiles]
    return _Pieces(texts, owners, rests, _lengths(owners) + _lengths(rests))


def _put_together(kind: Folded, pieces: _Pieces, codecs: CodecOptions[Any]) -> list[bytes]:
    owners, rests, texts = pieces.owners, pieces.rests, pieces.texts
    periods = [_elements({"period": label}, codecs) for label in kind.labels]
    heads = {length: [_head(label, length) for label in kind.labels] for length in set(map(len, texts))}
    mine = [heads[len(text)] for text in texts]
    numbers = _numbers(kind, codecs)
    shared = _lengths(heads[len(texts[0])]) + _lengths(periods) + numbers.shape[1] + 4
    sizes = as_list((pieces.lengths[kind.owner] + shared[kind.label]).astype("<i4").view(np.uint8).reshape(-1, 4))
    rows = zip(sizes, kind.owner.tolist(), kind.label.tolist(), as_list(numbers), strict=True)
    return [b"".join((size, mine[o][p], owners[o], periods[p], row, rests[o])) for size, o, p, row in rows]


def _lengths(pieces: Sequence[bytes]) -> npt.NDArray[np.int32]:
    return np.fromiter(map(len, pieces), dtype=np.int32, count=len(pieces))


def _elements(document: Document, codecs: CodecOptions[Any]) -> bytes:
    """The fields of a document, without its length before and the zero behind them."""
    return bson.encode(document, codec_options=codecs)[4:-1]


def _head(label: str, length: int) -> bytes:
    """How the entries of a period begin, where the text of the user's id has so many bytes."""
    begin = f"{label}:".encode()
    return b"\x02_id\0" + (len(begin) + length + 1).to_bytes(4, "little") + begin


def _numbers(kind: Folded, codecs: CodecOptions[Any]) -> Any:
    template = bson.encode(_NUMBERS, codec_options=codecs)
    places = layout(template) or {}
    columns = {
        "score": as_bytes(kind.score),
        "streak": as_bytes(kind.streak)[:, :4],
        "events": as_bytes(kind.stands),
        "lastEventAt": as_bytes(kind.last.astype("datetime64[ms]").astype(np.int64)),
    }
    cells = [(places[(name,)].start, values) for name, values in columns.items()]
    return filled(template, cells, len(kind.owner))[:, 4:-1]


def _are_as_usual(kind: Folded, profiles: Sequence[Document], codecs: CodecOptions[Any], made: Sequence[bytes]) -> bool:
    """Whether the ordinary way makes the same of the first and of the last one."""
    for row in (0, -1):
        entry = kind.row(row) | profiles[int(kind.owner[row])]
        if bson.encode(entry, codec_options=codecs) != made[row]:
            return False
    return True
