"""The part of a report about an older counter: what an operator is asked on Monday."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.counter.agreement import Agreement, Differs
from lbmigrate.records import amount
from lbmigrate.report.blocks import Block, Cell, Grid, Listing, Section, Words


def against(found: Agreement) -> Section:
    """How the global board agrees with the counter, who differs most, and what that may mean."""
    return Section(f"Against the old counter {found.counter}", list(_blocks(found)))


def agreement(found: Agreement) -> str:
    """The comparison in one sentence."""
    have = "has" if found.equal == 1 else "have"
    same = f"{found.equal:,} of {amount(found.both, 'user')} with both {have} the same number"
    close = f", {found.close:,} more nearly the same" if found.close else ""
    return f"{same} ({found.share:.1%}){close}"


def order(found: Agreement) -> str:
    """How alike the two orders are, in one sentence; empty where there are none."""
    if found.spearman is None:
        return ""
    alike = None if found.kendall is None else (1 + found.kendall) / 2
    pairs = "" if alike is None else f"; both put {alike:.0%} of all pairs of users in the same order"
    drawn = f" (told from {amount(found.drawn, 'user')} drawn at random)" if found.drawn < found.both else ""
    return f"rank correlation {found.spearman:.3f}{pairs}{drawn}"


def _blocks(found: Agreement) -> Iterator[Block]:
    yield Words("This never decides the verdict: an old counter has its own rules, and knows of deleted history.")
    yield Words(f"{agreement(found)}. {order(found).capitalize()}.".replace(" .", ""))
    if found.told:
        yield Listing(found.told)
    rows: list[tuple[Cell, ...]] = [
        ("have both", found.both),
        ("the same number", found.equal),
        ("more points on the board", found.higher),
        ("fewer points on the board", found.lower),
        ("counter, and no entry", found.only_counter),
        ("entry, and no counter", found.only_board),
        ("counter that is no number", found.unreadable),
    ]
    yield Grid("Users", ("users who have", "users"), tuple(rows))
    if found.differ:
        yield _named("Who differs most", found.differ)
    if found.without_counter:
        yield _named("First of the board who have no counter", found.without_counter)


def _named(caption: str, users: Sequence[Differs]) -> Grid:
    rows = tuple(
        (each.user, each.name or "", number(each.counter), each.score, number(each.difference), each.why)
        for each in users
    )
    return Grid(caption, ("user", "name", "counter", "score", "difference", "why it may be"), rows)


def number(value: float | None) -> int | float | None:
    """A counter as it is shown: whole where it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
