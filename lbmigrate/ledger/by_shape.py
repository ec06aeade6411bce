"""Documents of one shape become events together: finished BSON, which the driver only sends.

Each shape has a template: the event of one of its documents, scored and encoded the ordinary way. The events of the
others are copies of its bytes with their own values in them. It is compared with what the ordinary way makes of the
last one too, and what differs, or is odd in any way, goes the ordinary way, one by one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
from bson.raw_bson import RawBSONDocument

from lbmigrate.config.model import Source
from lbmigrate.ledger.batches import Ready
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.repeats import Repeats
from lbmigrate.ledger.sources import CODECS, score
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.rules.by_shape import Judged, has_columns, judge
from lbmigrate.run.context import Context
from lbmigrate.values import shapes
from lbmigrate.values.cells import Ints, as_bytes, as_list, filled, texts
from lbmigrate.values.documents import Documents
from lbmigrate.values.id_text import id_texts
from lbmigrate.values.layout import Field, Layout, layout
from lbmigrate.values.raw_bson import Bytes, Column
from lbmigrate.values.shapes import Group, Rows

Cells = dict[tuple[str, ...], Bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one shape: a row of bytes for each, and of which documents of the batch they are, by number."""

    numbers: Rows
    rows: Bytes
    names: Bytes
    users: Column
    kind: str
    times: Ints
    is_approximate: bool


@dataclass(frozen=True)
class Finished:
    """The events of a batch, and the documents that are to go the ordinary way."""

    parts: list[Part]
    rest: list[Document]
    last: Document | None  # the event of the batch's last document, if it is among these
    length: int  # of the batch

    def __len__(self) -> int:
        return sum(len(part.numbers) for part in self.parts)

    def events(self) -> list[Ready]:
        """In the order of their documents."""
        made = [event for part in self.parts for event in as_list(part.rows)]
        order = np.argsort(np.concatenate([part.numbers for part in self.parts]), kind="stable")
        return list(map(Ready, map(made.__getitem__, order.tolist())))

    def told(self, new: Sequence[Any], horizon: dt.datetime) -> tuple[int, int]:
        """How many of those that are new are approximate, and how many are beyond the horizon."""
        if len(new) != len(self):
            decoded = [bson.decode(each.raw, CODECS) if isinstance(each, RawBSONDocument) else each for each in new]
            return sum("approximate" in e["meta"] for e in decoded), sum(e["createdAt"] > horizon for e in decoded)
        late = np.datetime64(horizon, "us")
        approximate = sum(len(part.numbers) for part in self.parts if part.is_approximate)
        return approximate, sum(int((part.times.view("datetime64[ms]") > late).sum()) for part in self.parts)

    def stands_apart(self, action: str, one_type: OneUserType, repeats: Repeats) -> bool:
        """Whether each of these events is of the known type of user and no other one of the batch has its `_id`."""
        if not one_type.kinds or {part.kind for part in self.parts} != set(one_type.kinds):
            return False
        others = id_texts([document.get("_id") for document in self.rest])
        names = {name for part in self.parts for name in as_list(part.names)}
        taken = {text.encode("utf-8", "surrogatepass") for text in (*others, *repeats.ended_with(action))}
        return len(names) == len(self) and names.isdisjoint(taken)


def applies(context: Context, source: Source) -> bool:
    """Whether documents of a source can go this way: where all that is asked for is everything, once, of a server."""
    anything = context.live or is_fake(context.sources) or is_fake(context.target) or not context.scope.takes_all
    return not anything and context.pace.per_second is None and has_columns(source)


def finished(context: Context, source: Source, batch: Documents) -> Finished | None:
    """The events of a batch; None where the whole batch is to go the ordinary way.

    Raises BSONError if one of the rest of the documents cannot be read.
    """
    groups = [] if Leavers(context.state) else shapes.sorted_by_layout(batch, CODECS)
    parts = list(_parts(context, source, groups))
    if not parts:
        return None
    taken = np.zeros(len(batch), dtype=np.bool_)
    for part in parts:
        taken[part.numbers] = True
    rest = bson.decode_all(batch.some(np.flatnonzero(~taken)), CODECS)
    return Finished(parts, rest, _last(parts, len(batch) - 1), len(batch))


def _last(parts: list[Part], number: int) -> Document | None:
    rows = (part.rows[-1] for part in parts if part.numbers[-1] == number)
    return next((bson.decode(row.tobytes(), CODECS) for row in rows), None)


def _parts(context: Context, source: Source, groups: Sequence[Group]) -> Iterator[Part]:
    latest = context.config.backfill.latest(context.clock())
    for group in groups:
        judged = judge(group, source, context.config.timezone, latest)
        if judged is not None and judged.fit.any():
            yield from _written(context, source, group, judged)


def _written(context: Context, source: Source, group: Group, judged: Judged) -> Iterator[Part]:
    """The events of a group; those whose `_id`s have another length are a part of their own."""
    for rows, names in texts(judged.names):
        alike = np.arange(len(group))[rows]
        fit = judged.fit[alike]
        chosen, theirs = alike[fit], names[fit]
        if not len(chosen):
            continue
        written = _copies(context, source, group.taken(chosen), _cells(judged, chosen), theirs)
        if written is not None:
            users = Column(judged.users.kind, judged.users.values[chosen])
            approximate, times = bool(judged.approximate), judged.times[chosen]
            yield Part(group.numbers[chosen], written, theirs, users, judged.kind, times, approximate)


def _cells(judged: Judged, chosen: Rows) -> Cells:
    """The values of these documents' events, but for their `_id`, by where they stand in an event."""
    found: Cells = {("userId",): judged.users.values[chosen], ("sourceId",): judged.names.values[chosen]}
    found |= {("meta", name): values[chosen] for name, values in judged.meta.items()}
    return {**found, ("points",): as_bytes(judged.points[chosen]), ("createdAt",): as_bytes(judged.times[chosen])}


def _copies(context: Context, source: Source, group: Group, cells: Cells, names: Bytes) -> Bytes | None:
    """The template filled with each document's values; None if it does not come to what the ordinary way makes."""
    ends = _ordinary(context, source, group.rows[[0, -1]])
    template = ends[0] if ends else b""
    places = layout(template)
    if places is None or not _fits(places, cells):
        return None
    begin = places[("_id",)].start + len(f"{source.action}:".encode())
    if begin + names.shape[1] != _end(places[("_id",)]):
        return None
    placed = [(begin, names), *((places[path].start, values) for path, values in cells.items())]
    found = filled(template, placed, len(group))
    return found if [found[0].tobytes(), found[-1].tobytes()] == ends else None


def _fits(places: Layout, cells: Cells) -> bool:
    return all(path in places and places[path].width == values.shape[1] for path, values in cells.items())


def _end(field: Field) -> int:
    return field.start + field.width


def _ordinary(context: Context, source: Source, documents: Bytes) -> list[bytes]:
    """The events of documents as the driver encodes them; none where one has none, or one that was written otherwise.

    Scored together, for what a look at the rule costs: a third of a millisecond, for each shape in each batch.
    """
    scored = score(context, source, bson.decode_all(documents.tobytes(), CODECS))
    if len(scored.events) != len(documents) or scored.former:
        return []
    return [bson.encode(event, codec_options=context.target.codec_options) for event in scored.events]
