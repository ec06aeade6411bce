"""From one layout to the other, while the app reads and records: period by period, and killed at any instant.

The entries of a period are copied to where they are to be, twice, since the app goes on; then the layout on record says
that they are there, and whoever wrote between the two is rolled up. What is left where they were is removed at the end,
GRACE seconds after the last period has moved: until then it is complete for those who have not looked yet. What a copy
has more, or of another revision, is made what the ledger says before anything is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pymongo.collection import Collection

from lbmigrate.ledger import copying, rolling, walk
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.partitions import open_partitions
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Piece, amount
from lbmigrate.run.context import Context, Scope
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import ALL, PARTITIONED, ROW, Layout, may_have_own, partition, partitions, period_of
from lbmigrate.state import layouts

SUBJECT = "layout"
UNIT = "entries"


def wanted(context: Context) -> Layout:
    """The layout that the configuration asks for."""
    return Layout(ALL if context.config.layout == PARTITIONED else "")


def pieces(context: Context) -> Iterator[Piece]:
    """Move every entry to where the configuration wants it; nothing where all are there."""
    if not pending(context):
        return
    now, aim = layouts.layout(context.state), wanted(context)
    if aim.until and not now.moving and next(_periods_in_base(context, ""), None) is None:
        layouts.put(context.state, until=aim.until, moving=False, after=None)
        return
    layouts.put(context.state, until=now.until, moving=True)
    yield Piece(SUBJECT, note="entries are being moved; the app goes on reading and recording")
    context.stop.wait(layouts.GRACE)
    Histograms(context).void()  # they are about the entries where they were
    moving = _forward if aim.until else _backward
    removing = _remove_from_base if aim.until else _drop
    yield from moving(context)
    if not context.stopping():
        context.stop.wait(layouts.GRACE)
    if not context.stopping():
        yield from removing(context)
    if not context.stopping():
        layouts.settle(context.state, aim)
        yield Piece(SUBJECT, note=f"every entry is where layout: {context.config.layout} has it")


def pending(context: Context) -> str:
    """What a run would move, in a sentence; empty where everything is where it should be. Only looks."""
    now, aim = layouts.layout(context.state), wanted(context)
    if now.until == aim.until and not now.moving and (aim.until or not left_over(context)):
        return ""
    if aim.until and ENTRIES not in context.target.list_collection_names(filter={"name": ENTRIES}):
        return ""  # a run makes it first
    if aim.until:
        return f"move entries from {ENTRIES} into collections of their periods"
    return f"move entries from collections of single periods into {ENTRIES}"


# --- there and back ------------------------------------------------------------------------------------------------


def _forward(context: Context) -> Iterator[Piece]:
    """Into collections of their own, the earliest period first."""
    base = context.target[ENTRIES]
    while not context.stopping():
        until = layouts.layout(context.state).until
        period = next(_periods_in_base(context, until), "")
        if not period:
            layouts.put(context.state, until=ALL)
            return
        home = context.target[partition(period)]
        open_partitions(context.target, [home.name], layouts.layout(context.state).orders)
        yield from _copied(context, base, home, period)
        if not context.stopping() and next(_periods_in_base(context, until), "") == period:
            yield from _switched(context, base, home, period, until=period)


def _backward(context: Context) -> Iterator[Piece]:
    """Into the base collection, the latest period first."""
    base, own = context.target[ENTRIES], _own(context)
    while own and not context.stopping():
        home, period = context.target[own[-1]], period_of(own[-1])
        yield from _copied(context, home, base, period)
        now = _own(context)  # once more: who records may have opened one meanwhile
        if not context.stopping() and now[-1:] == own[-1:]:
            yield from _switched(context, home, base, period, until=period_of(now[-2]) if len(now) > 1 else "")
            now.pop()
        own = now
    if not context.stopping():
        layouts.put(context.state, until="")


def _own(context: Context) -> list[str]:
    """The collections that hold the entries of their periods by the layout on record."""
    until = layouts.layout(context.state).until
    return [name for name in partitions(context.target) if period_of(name) <= until]


def _copied(context: Context, source: Collection[Any], copy: Collection[Any], period: str) -> Iterator[Piece]:
    """Copy a period, then once more what has changed meanwhile. Ends early when a stop is asked for."""
    kept = context.state.get(ROW).get("after") or ""
    for after in (kept if kept.startswith(f"{period}:") else None, None):
        done = 0
        for chunk in copying.chunks(source, copy, period, after):
            done += copying.bring(source, copy, chunk)
            if chunk.last:
                layouts.put(context.state, after=chunk.last)
            yield Piece(period, done, unit=UNIT)
            if context.stopping():
                return


def _switched(
    context: Context, source: Collection[Any], copy: Collection[Any], period: str, until: str
) -> Iterator[Piece]:
    """From now on the copy counts."""
    layouts.put(context.state, until=until, after=None)
    _agree(context, source, copy, period)
    yield Piece(period, note=f"{period} is in {copy.name}")


def _agree(context: Context, source: Collection[Any], copy: Collection[Any], period: str) -> None:
    """Roll up whoever has not the same entry in both, wherever entries of theirs are; the ledger says what is right."""
    context = replace(context, scope=Scope(full=True))
    for chunk in copying.chunks(source, copy, period):
        copying.outpace(copy, chunk)
        for users in walk.selections(chunk.differing_users):
            retrying(partial(rolling.roll_up, context, users))


def _remove_from_base(context: Context) -> Iterator[Piece]:
    """What has collections of its own, out of the base collection; also what a process put there that did not know."""
    base, removed, layout = context.target[ENTRIES], 0, layouts.layout(context.state)
    for period in _periods_in_base(context, ""):
        home = context.target[layout.home(period)]
        open_partitions(context.target, [home.name], layout.orders)
        for chunk in copying.chunks(base, home, period):
            for users in walk.selections([chunk.source[name]["userId"] for name in (*chunk.absent, *chunk.other)]):
                retrying(partial(rolling.roll_up, context, users))
            condition = {"_id": {"$in": list(chunk.source)}, "rev": {"$exists": True}}
            context.state.put()  # raises LeaseLost where a successor is at work
            removed += retrying(partial(base.delete_many, condition)).deleted_count
            yield Piece(ENTRIES, removed, unit=UNIT)
            if context.stopping():
                return
    if removed:
        yield Piece(ENTRIES, removed, removed, unit=UNIT, note=f"removed {amount(removed, 'copy')} from {ENTRIES}")


def _drop(context: Context) -> Iterator[Piece]:
    """The collections of single periods, once all that they hold is in the base one."""
    base = context.target[ENTRIES]
    for name in left_over(context):
        if context.stopping():
            return
        home = context.target[name]
        _agree(context, home, base, period_of(name))
        context.state.put()  # raises LeaseLost where a successor is at work
        if home.find_one({"rev": {"$exists": False}}, {"_id": 1}) is None:
            context.target.drop_collection(name)
            yield Piece(SUBJECT, note=f"dropped {name}")
        else:
            retrying(partial(home.delete_many, {"rev": {"$exists": True}}))
            yield Piece(SUBJECT, warning=f"{name} holds documents that lbmigrate did not make; it stays")


def left_over(context: Context) -> list[str]:
    """The collections of single periods that are there, but for those that hold nothing but documents of others."""
    found = ((name, context.target[name]) for name in partitions(context.target))
    ours: dict[str, Any] = {"rev": {"$exists": True}}
    return [name for name, home in found if home.find_one(ours, {"_id": 1}) or not home.find_one({}, {"_id": 1})]


def _periods_in_base(context: Context, after: str) -> Iterator[str]:
    """The periods of entries in the base collection that may have one of their own, by hops along the index."""
    while True:
        asked = {"period": {"$gt": after, "$type": "string"}, "rev": {"$exists": True}}
        row = context.target[ENTRIES].find_one(asked, {"period": 1}, sort=[("period", 1)])
        if row is None:
            return
        after = row["period"]
        if may_have_own(after):
            yield after


def astray(context: Context) -> Iterator[Piece]:
    """Where each period has its own collection: what a process has put into the base one that did not know of it."""
    now = layouts.layout(context.state)
    if now.until and not now.moving and next(_periods_in_base(context, ""), None) is not None:
        yield from _remove_from_base(context)
