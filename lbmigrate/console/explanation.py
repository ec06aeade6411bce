"""An explanation as a terminal shows it: the answer first, then what it is made of, then what would change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.console.columns import facts
from lbmigrate.console.tables import generic
from lbmigrate.explain.explanation import Amount, Difference, Event, Explanation, Refused, SourceSays, Standing
from lbmigrate.records import amount
from lbmigrate.telling.foreign import plain

EVENT = ("at", "action", "points", "collection", "document", "origin", "")
SELDOM = ("origin", "collection", "action")  # looked for
STYLES = {Standing.SHOWN: "green", Standing.HIDDEN: "yellow", Standing.ABSENT: "yellow", Standing.LEFT: "yellow"}


def explanation(found: Explanation) -> Iterator[RenderableType]:
    """Views, one below the other; empty parts are left out."""
    title = Text.assemble((plain(found.user), "bold"), (f" · {plain(found.period)}", "dim"))
    yield Group(title, facts(_standing(found)))
    if found.standing is Standing.LEFT:
        yield _sources(found.sources, "Still in the sources, and left out")
        return
    yield _amounts("By action", "action", found.actions)
    if found.days:
        yield _with_more(generic("By day", ("day", "action", "events", "points"), map(_day, found.days)),
                         found.days_total - len(found.days), "line")  # fmt: skip
        yield _with_more(_events("Last events", found.last), found.events - len(found.last), "event")
    if found.adjustments:
        adjusted = sum(each.events for each in found.reasons)
        yield _amounts("Adjusted", "reason", found.reasons)
        yield _with_more(_events("Last adjustments", found.adjustments), adjusted - len(found.adjustments), "event")
    yield _sources(found.sources, "What the sources say now")
    yield from _refused("Rejects", found.rejects, found.rejects_total)
    yield from _refused("Counted once", found.duplicates, found.duplicates_total)
    yield from _verdict(found)


def _standing(found: Explanation) -> Iterator[tuple[str, Any]]:
    entry = found.entry
    yield "standing", Text(found.standing, STYLES[found.standing])
    if found.standing is Standing.LEFT:
        yield "since", found.left_at
        yield "ledger", "the events stay under a tombstone, which nobody can look up"
    if entry:
        if entry.name:
            yield "name", entry.name
        if entry.rank:
            yield "rank", entry.rank
        yield "score", Text(f"{entry.score:,} of {amount(entry.events, 'event')}", "bold")
        if entry.reached:
            yield "score since", entry.reached
        yield "streak", f"{entry.streak:,} d"
        yield "newest event", entry.last_event
        yield "changed", entry.updated
    for note in found.notes:
        yield "note", Text(plain(note), "yellow")


def _amounts(title: str, name: str, amounts: Sequence[Amount]) -> RenderableType:
    rows = [(each.name, each.events, each.points, each.live) for each in amounts]
    return generic(title, (name, "events", "points", "live"), rows)


def _day(each: Amount) -> tuple[Any, ...]:
    return Text(each.day, no_wrap=True), each.name, each.events, each.points


def _events(title: str, events: Sequence[Event]) -> RenderableType:
    """One line for each event; where there is no room, without what is seldom looked for."""
    return generic(title, EVENT, map(_event, events), SELDOM)


def _event(each: Event) -> tuple[Any, ...]:
    return each.at, each.action, each.points, each.collection, each.document, each.origin, _remark(each)


def _remark(each: Event) -> str:
    return each.reason or (f"time from {each.approximate}" if each.approximate else "")


def _sources(sources: Sequence[SourceSays], title: str) -> RenderableType:
    columns = ("source", "documents", "out of scope", "too early", "rejected", "actions", "points")
    used = [n for n, _ in enumerate(columns) if n in (0, 1) or any(_source(each)[n] for each in sources)]
    rows = [[_source(each)[n] for n in used] for each in sources]
    return generic(title, [columns[n] for n in used], rows)


def _source(each: SourceSays) -> tuple[Any, ...]:
    return (each.source, each.documents, each.out_of_scope, each.too_early, each.rejected, each.actions, each.points)


def _refused(title: str, refused: Sequence[Refused], total: int) -> Iterator[RenderableType]:
    if refused:
        rows = [(each.source, each.document, each.reason) for each in refused]
        yield _with_more(generic(title, ("source", "document", "reason"), rows), total - len(refused), "document")


def _with_more(view: RenderableType, hidden: int, noun: str) -> RenderableType:
    return Group(view, Text(f"and {amount(hidden, noun)} more; -n shows more", "dim")) if hidden > 0 else view


def _verdict(found: Explanation) -> Iterator[RenderableType]:
    """What differs, and what would change it; one line where nothing does."""
    if not found.differences:
        how = "agree" if found.compared else "agree in their sums; there are too many actions to compare one by one"
        yield Text.assemble(("✓", "green"), f" entry, ledger and sources {how}")
        return
    lines = [line for each in found.differences for line in _difference(each)]
    head = Text(f"Differences  {found.differences_total:,}", "bold")
    more = found.differences_total - len(found.differences)
    yield Group(head, *lines, *([Text(f"and {more:,} more; -n shows more", "dim")] if more > 0 else []))
    yield Group(*(Text.assemble(("next: ", "dim"), (plain(each), "cyan")) for each in found.next))


def _difference(each: Difference) -> Iterable[Text]:
    yield Text.assemble(("✗ ", "red"), plain(each.subject))
    yield Text(f"  {plain(each.says)}; {plain(each.instead)}")
