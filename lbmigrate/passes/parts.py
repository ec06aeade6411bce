"""The parts of a pass over a sharded source: they are read in turns, so that no shard has all the work for a while.

Chunks that follow each other in the order of a key are most often on one shard. So a range is cut where another shard
begins, and chunks are claimed in turns from all shards; each part is cut and resumed like any other span.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bson import MinKey
from pymongo.collection import Collection

from lbmigrate.mongo import shards
from lbmigrate.mongo.shards import Border
from lbmigrate.passes import chunks
from lbmigrate.passes.chunks import Span
from lbmigrate.values.brackets import bracket_of, rank
from lbmigrate.values.limits import is_lost

T = TypeVar("T")
MOST = 64
LEAST = 2  # chunks in a part, as a rule: else many are small


def in_parts(collection: Collection[Any], spans: Sequence[Span], size: int) -> tuple[Span, ...]:
    """The spans, those with bounds cut at the borders of shards, where that leaves chunks of `size` documents."""
    keys = dict.fromkeys(span.key for span in spans if not span.extra)
    if not keys or not shards.is_router(collection.database):
        return tuple(spans)
    most = min(MOST, collection.estimated_document_count() // (LEAST * size))
    borders = {key: shards.borders(collection, key, most) for key in keys} if most > 1 else {}
    return tuple(part for span in spans for part in _parts(collection, span, borders.get(span.key, [])))


def _parts(collection: Collection[Any], span: Span, borders: Sequence[Border]) -> list[Span]:
    if span.extra or not borders:
        return [span]
    begins = _beginnings(collection, span, borders)
    ends = [low for low, _ in begins[1:]]
    parts = [replace(span, low=low, high=high, open=True) for (low, _), high in zip(begins, ends, strict=False)]
    parts.append(replace(span, low=begins[-1][0]))
    if any(shard for _, shard in begins):
        return [replace(part, lane=shard) for part, (_, shard) in zip(parts, begins, strict=True)]
    order = sorted(range(len(parts)), key=_backwards)
    return [replace(parts[place], lane=str(place)) for place in order] if len(parts) > 1 else parts


def _beginnings(collection: Collection[Any], span: Span, borders: Sequence[Border]) -> list[Border]:
    """The first key of each part, a real one, and its shard; the first of them is where the span begins."""
    found: list[Border] = [(span.low, "")]
    for border, shard in borders:
        if bracket_of(border) != bracket_of(span.low) or is_lost(border):
            if _is_below(border, span.low):  # what follows is on that shard
                found[0] = (span.low, shard)
            continue
        first = chunks.first_from(collection, span, border)
        if first is None:
            break
        if first == found[-1][0]:
            found[-1] = (found[-1][0], shard)
        else:
            found.append((first, shard))
    return found


def _is_below(border: Any, low: Any) -> bool:
    """Whether a border of another type, or one that is no number, is before all keys of this one's type."""
    return border is None or isinstance(border, MinKey) or (rank(border) <= rank(low) and not is_lost(border))


def _backwards(place: int) -> int:
    """A number with its bits in reverse: in that order any few that follow each other are far apart."""
    return int(f"{place:032b}"[::-1], 2)


def lanes(spans: Sequence[Span]) -> list[list[int]]:
    """The places of spans that are read one after another; the lists are read in turns."""
    found: dict[str, list[int]] = {}
    for place, span in enumerate(spans):
        found.setdefault(span.lane, []).append(place)
    return list(found.values())


def in_turns(ways: Iterable[Iterator[T]]) -> Iterator[T]:
    """One of each, again and again, until all are at their end."""
    waiting = deque(ways)
    while waiting:
        way = waiting.popleft()
        for each in way:
            yield each
            waiting.append(way)
            break
