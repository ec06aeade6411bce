"""How the board agrees with an older counter, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.console.tables import facts, generic
from lbmigrate.counter.agreement import Agreement, Differs
from lbmigrate.report import counter
from lbmigrate.telling.foreign import plain

NARROW = 100  # columns below which names are left out: with an id `explain` says more


def agreement(found: Agreement, width: int) -> Iterator[RenderableType]:
    """In figures, then who differs most, then what that may mean."""
    title = Text.assemble(("Against ", "bold"), (plain(found.counter), "bold"), ("  never decides the verdict", "dim"))
    yield Group(title, facts(_figures(found)))
    if found.differ:
        yield _named("Who differs most", found.differ, width)
    if found.without_counter:
        yield _named("First of the board who have no counter", found.without_counter, width)
    if found.told:
        yield Group(*(Text.assemble(("· ", "dim"), plain(each)) for each in found.told))


def _figures(found: Agreement) -> Iterator[tuple[str, object]]:
    yield "same number", counter.agreement(found)
    yield "board has more", found.higher
    yield "board has less", found.lower
    for name, number in (("only the counter", found.only_counter), ("only the board", found.only_board)):
        if number:
            yield name, number
    if found.unreadable:
        yield "no number", found.unreadable
    if alike := counter.order(found):
        yield "order", alike


def _named(title: str, users: Sequence[Differs], width: int) -> RenderableType:
    columns = ("user", "name", "counter", "score", "difference", "why it may be")
    used = [n for n, column in enumerate(columns) if column != "name" or width >= NARROW]
    rows = [[_row(each)[n] for n in used] for each in users]
    return generic(title, [columns[n] for n in used], rows)


def _row(each: Differs) -> tuple[object, ...]:
    counter_, apart = counter.number(each.counter), counter.number(each.difference)
    return Text(plain(each.user), no_wrap=True), each.name, counter_, each.score, apart, each.why
