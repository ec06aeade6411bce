"""How the board agrees with an older counter, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.console.columns import facts
from lbmigrate.console.tables import generic
from lbmigrate.report import counter
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.counter.agreement import Agreement, Differs


def agreement(found: Agreement) -> Iterator[RenderableType]:
    """In figures, then who differs most, then what that may mean."""
    title = Text.assemble(("Against ", "bold"), (plain(found.counter), "bold"), ("  never decides the verdict", "dim"))
    yield Group(title, facts(_figures(found)))
    if found.differ:
        yield _named("Who differs most", found.differ)
    if found.without_counter:
        yield _named("First of the board who have no counter", found.without_counter)
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


def _named(title: str, users: Sequence[Differs]) -> RenderableType:
    """Where there is no room, without names: with an id `explain` says more."""
    return generic(
        title, ("user", "name", "counter", "score", "difference", "why it may be"), map(_row, users), ["name"]
    )


def _row(each: Differs) -> tuple[object, ...]:
    counter_, apart = counter.number(each.counter), counter.number(each.difference)
    return Text(plain(each.user), no_wrap=True), each.name, counter_, each.score, apart, each.why
