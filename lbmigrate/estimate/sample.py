"""A bounded look at the documents of a source, scored in memory as a backfill would: nothing is written."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

import bson
import pymongo
from bson.errors import BSONError
from pymongo.errors import PyMongoError

from lbmigrate.config.model import Source
from lbmigrate.ledger import by_shape
from lbmigrate.ledger.sources import CODECS, read, read_raw, score
from lbmigrate.passes.chunks import Bounds, Span, cut
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.values.brackets import bracket_of
from lbmigrate.values.documents import one_after_another
from lbmigrate.values.id_text import id_texts

WINDOWS, WIDTH = 10, 1_000  # ranges of ids of a source that are read, and the documents that lie in each
MOST = 2 * WINDOWS * WIDTH  # documents of a source
MOST_BYTES = 16_000_000  # that are held of a source
TIMES = 3  # how often they are scored, to tell how long that takes
DRAWN = 200  # events of a source that are kept, to draw users from


@dataclass(frozen=True, slots=True)
class Sample:
    """What some documents of a source came to: of `documents` in scope `apart` are scored one by one.

    `scoring` are processor seconds for all of them. `drawn` are some of the events. Of an empty sample nothing is
    known.
    """

    documents: int = 0
    events: int = 0
    apart: int = 0
    scoring: float = 0.0
    event_bytes: float = 0.0
    drawn: tuple[Document, ...] = field(default=(), repr=False)

    def share(self, name: str, usual: float) -> float:
        """How many of these there are for each document; what is usual where no document was seen."""
        return float(getattr(self, name)) / self.documents if self.documents else usual


@dataclass(slots=True)
class Allowance:
    """How long all samples together may take, in seconds on the clock, and how many documents they have read."""

    seconds: float
    read: int = 0
    _began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - (time.monotonic() - self._began))

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Within the block, no command takes longer than what is left; one that would is given up without an error."""
        try:
            with pymongo.timeout(self.left + 0.05):
                yield
        except PyMongoError as error:
            if not error.timeout:
                raise


def take(context: Context, source: Source, spans: Sequence[Span], first: bool, allowance: Allowance) -> Sample:
    """Read ranges here and there in what a pass will walk, and score what is in them.

    A pass that is not the `first` one scores documents one by one.
    """
    raw: list[bytes] = []
    found = Sample()
    with allowance.spending():
        if source.unwind:
            return _elements(context, source, spans, allowance)
        for number, bounds in enumerate(_windows(context, source, spans), 2):
            raw += (batch.all() for batch in read_raw(context, source, bounds.condition()))
            if raw and not found.documents:  # what a few of them cost says for how many there is time
                found = _scored(context, source, b"".join(raw), first, allowance)
            if allowance.left < TIMES * number * found.scoring or sum(map(len, raw)) > MOST_BYTES:
                break
    if allowance.left:
        found = _scored(context, source, b"".join(raw), first, allowance) if raw else Sample()
    allowance.read += found.documents
    return found


def _windows(context: Context, source: Source, spans: Sequence[Span]) -> Iterator[Bounds]:
    """A range at the beginning of each span, and some at random places."""
    collection = context.sources[source.collection]
    ordered = [span for span in spans if not span.extra][:WINDOWS]
    for span in ordered:
        yield from islice(cut(collection, span, lambda: WIDTH, None), 1)
    by_id = [span for span in ordered if span.key == "_id"]
    if not by_id:
        return
    for row in collection.aggregate([{"$sample": {"size": WINDOWS - 1}}, {"$project": {"_id": 1}}]):
        inside = next((span for span in by_id if bracket_of(span.low) == bracket_of(row["_id"])), None)
        if inside:
            yield from islice(cut(collection, replace(inside, low=row["_id"]), lambda: WIDTH, None), 1)


def _scored(context: Context, source: Source, raw: bytes, first: bool, allowance: Allowance) -> Sample:
    together = first and by_shape.applies(context, source) and not context.config.throttle.documents_per_second
    try:
        taken = [_timed(context, source, raw, together) for turn in range(TIMES) if not turn or allowance.left]
    except BSONError:
        return Sample()
    return min(taken, key=lambda each: each.scoring)


def _timed(context: Context, source: Source, raw: bytes, together: bool) -> Sample:
    batch = one_after_another(raw)  # as it comes from a server, without any work
    began = time.thread_time()
    made = by_shape.finished(context, source, batch) if together else None
    rest = bson.decode_all(raw, CODECS) if made is None else made.rest
    scored = score(context, source, rest).events if rest else []
    seconds = time.thread_time() - began
    whole = [bytes(each.raw) for each in made.events()] if made else []
    whole += [bson.encode(each) for each in islice(scored, DRAWN)]
    documents = made.length if made else len(rest)
    return Sample(
        documents, len(made or ()) + len(scored), len(rest), seconds, sum(map(len, whole)) / max(1, len(whole)),
        tuple(bson.decode(each, CODECS) for each in _some(whole)),
    )  # fmt: skip


def _some(events: list[bytes]) -> list[bytes]:
    return random.Random(0).sample(events, min(DRAWN, len(events)))


def _elements(context: Context, source: Source, spans: Sequence[Span], allowance: Allowance) -> Sample:
    """The same of unwound elements, each of which is scored by itself: `apart` may be more than `documents`."""
    documents: list[Document] = []
    for bounds in _windows(context, source, spans):
        documents += [each for some in read(context, source, bounds.condition()) for each in some][: WINDOWS * WIDTH]
        if not allowance.left or len(documents) >= WINDOWS * WIDTH:
            break
    allowance.read += len(documents)
    began = time.thread_time()
    events = score(context, source, documents).events if documents else []
    seconds = time.thread_time() - began
    whole = [bson.encode(each) for each in islice(events, DRAWN)]
    owners = len(set(id_texts([each.get("_id") for each in documents])))
    return Sample(
        owners, len(events), len(documents), seconds, sum(map(len, whole)) / max(1, len(whole)),
        tuple(bson.decode(each, CODECS) for each in whole),
    )  # fmt: skip
