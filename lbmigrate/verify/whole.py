"""A verification of everything, in chunks: it keeps how far it is, and one that was stopped goes on from there."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Iterator
from typing import Any

from pymongo.collection import Collection

from lbmigrate.config.digest import applied_digest
from lbmigrate.passes import chunks
from lbmigrate.passes.chunks import Bounds, Span
from lbmigrate.passes.read_plan import everything
from lbmigrate.records import Checkpoint, Compared, Document, Piece
from lbmigrate.run.jobs import shared_out
from lbmigrate.run.workers import Held, News
from lbmigrate.values.id_text import encoded
from lbmigrate.verify import UNDER_WAY as ROW
from lbmigrate.verify import choose
from lbmigrate.verify.actions import Ledger, names_a_range
from lbmigrate.verify.look import Look
from lbmigrate.verify.tasks import Entries, Range, Ranges, everybody
from lbmigrate.verify.totals import Totals
from lbmigrate.verify.windows import with_ends

STALE = dt.timedelta(days=1)  # what was looked at before that is looked at once more


def pieces(look: Look) -> Iterator[Piece]:
    """Every user in order, then every document of every source."""
    phase, after = _taken_up(look)
    if phase == 0:
        yield from _all_users(look, after)
        after = None
    for number, ledger in enumerate(look.ledgers, 1):
        if phase <= number and not look.context.stopping():
            yield from _all_documents(look, ledger, number, after if phase == number else None)


def _taken_up(look: Look) -> tuple[int, Any]:
    """How far an earlier run came that looked at the same; 0 where there was none, or where its row was changed."""
    row = look.context.state.get(ROW)
    same = row.get("rules") == applied_digest(look.context.config) and row.get("covers") == look.covers
    if not same or look.context.clock() - row["at"] > STALE or row["seal"] != _seal(row):
        return 0, None
    look.totals = Totals.of(row["totals"])
    return row["phase"], row["after"]


def _mark(look: Look, phase: int, after: Any) -> Checkpoint:
    row = {
        "rules": applied_digest(look.context.config), "covers": look.covers, "at": look.context.clock(),
        "phase": phase, "after": after, "totals": look.totals.row(),
    }  # fmt: skip
    return Checkpoint(ROW, {**row, "seal": _seal(row)})


def ended(look: Look) -> Checkpoint:
    """What is kept of one that has ended: nothing that another would go on with. Removing a row takes more rights."""
    nothing = {"phase": 0, "after": None, "totals": Totals().row()}
    return Checkpoint(ROW, {"rules": "", "covers": None, "at": look.context.clock(), **nothing, "seal": ""})


def _seal(row: Document) -> str:
    """A digest of how far it is: going on from another place would leave somebody out, and nobody would know."""
    return hashlib.sha256(encoded([row["phase"], row["after"], row["totals"]])).hexdigest()[:16]


def _all_users(look: Look, after: Any) -> Iterator[Piece]:
    total, done = choose.count(look.context), look.totals.users
    work = Entries(look.context, look.kind)
    for came in shared_out(work, look.through(everybody(look.context, after, work.size)), ordered=True):
        if isinstance(came, Held | News):
            yield came.on(Piece("entries", done, max(total, done), "users", True))
            continue
        item, results = came
        for some, (found, seconds) in zip(item.parts(), results, strict=True):
            counts = look.compared(found, seconds)
            done = look.totals.users
            yield from look.settled("entries", few=True)
            mark = None if look.suspects else _mark(look, 0, some[-1])
            yield Piece("entries", done, max(total, done), "users", True, counts, mark)
    yield from look.settled("entries")


def _all_documents(look: Look, ledger: Ledger, number: int, after: Any) -> Iterator[Piece]:
    """Every range of an action's sources; where ids do not run as those of the events do, also the other way."""
    collections = [look.context.sources[name] for name in look.collections(ledger)]
    spans = [(each, span) for each in collections for span in everything(each)]
    total, done = sum(each.estimated_document_count() for each in collections), 0
    first_span, row, seen = (after["span"], after["bounds"], after["seen"]) if after else (0, None, 0)
    in_ranges = any(names_a_range(span) for _, span in spans)  # then all events of the action are read beside documents
    for place, (collection, span) in enumerate(spans[first_span:], first_span):
        last = Bounds.from_row(row) if row and place == first_span else None
        work = Ranges(look.context, ledger, collection.name, look.kind, look.at)
        for came in shared_out(work, look.through(_ranges(look, collection, span, last)), ordered=True):
            if isinstance(came, Held | News):
                yield came.on(Piece(ledger.action, done, max(total, done), "documents", True))
                continue
            (bounds, *_), results = came
            for found, seconds in results:
                look.take(found, seconds)
                done, seen = done + found.documents, seen + found.events
                yield from look.settled("sources", few=True)
                mark = (
                    None
                    if look.suspects
                    else _mark(look, number, {"span": place, "bounds": bounds.row(), "seen": seen})
                )
                counts = Compared(found.documents, 0, found.documents)
                yield Piece(ledger.action, done, max(total, done), "documents", True, counts, mark)
        if look.context.stopping():
            return
    if not in_ranges and seen != ledger.count():  # events beside those that the sources have: look behind every one
        began = time.monotonic()
        look.take(ledger.check_events({}), time.monotonic() - began)
    yield from look.settled("sources")
    yield Piece(ledger.action, done, done, "documents", checkpoint=_mark(look, number + 1, None))


def _ranges(look: Look, collection: Collection[Any], span: Span, last: Bounds | None) -> Iterator[Range]:
    """The ranges of a span, behind the one that was looked at last."""
    size = look.context.config.backfill.chunk_size
    return with_ends(chunks.cut(collection, span, lambda: size, last), last is None)
