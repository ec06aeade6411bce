"""Rows whose ids, names and numbers stay whole at every width: where there is no room, columns are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lbmigrate.console.format import cell
from lbmigrate.telling.foreign import plain

GAPS = (2, 1)  # columns between two columns, roomy first
ENDLESS = 100_000


@dataclass(frozen=True, slots=True)
class Column:
    """How the cells below a name are shown: `exact` ones never wrapped, of others no word broken, but by `most`.

    What is longer than `readable` gets at least so many columns.
    """

    name: str
    right: bool = False
    exact: bool = False
    most: int | None = None
    readable: int = 16
    style: str = ""

    def size(self, cells: Iterable[RenderableType], console: Console, options: ConsoleOptions) -> tuple[int, int]:
        """How wide it must be, and how wide it would be."""
        sizes = [Measurement.get(console, options, each) for each in (Text(self.name), *cells)]
        words, lines = max(size.minimum for size in sizes), max(size.maximum for size in sizes)
        return (lines if self.exact else max(min(words, self.most or words), min(lines, self.readable))), lines


@dataclass(frozen=True, slots=True)
class Rows:
    """A table. Of the columns that are `optional`, by their names, the first is left out first.

    Where not even the others fit, each row is a block, with a line for each of them.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[RenderableType]]
    optional: Sequence[str] = ()
    styles: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = options.update(width=ENDLESS)
        sizes = [each.size((row[n] for row in self.rows), console, endless) for n, each in enumerate(self.columns)]
        shown: list[int] = []
        for left_out in range(len(self.optional) + 1):
            shown = [n for n, each in enumerate(self.columns) if each.name not in self.optional[:left_out]]
            for gap in GAPS:
                room = options.max_width - gap * (len(shown) - 1)
                if room >= sum(sizes[n][0] for n in shown):
                    yield self._table(shown, widths([sizes[n] for n in shown], room), gap)
                    return
        yield from self._blocks(shown)

    def _table(self, shown: Sequence[int], wide: Sequence[int], gap: int) -> Table:
        table = bare_table(gap=gap)
        for n, width in zip(shown, wide, strict=True):
            each = self.columns[n]
            justify: Literal["right", "left"] = "right" if each.right else "left"
            table.add_column(
                each.name, justify=justify, no_wrap=each.exact, overflow="fold", style=each.style, width=width
            )
        for number, row in enumerate(self.rows):
            table.add_row(*(row[n] for n in shown), style=self.styles[number] if self.styles else "")
        return table

    def _blocks(self, shown: Sequence[int]) -> Iterator[RenderableType]:
        for number, row in enumerate(self.rows):
            if number:
                yield Text()
            yield facts((self.columns[n].name, row[n]) for n in shown)


def widths(sizes: Sequence[tuple[int, int]], room: int) -> list[int]:
    """What is left beside what each column must have goes to those that would be wider, evenly, the modest first."""
    spare = room - sum(least for least, _ in sizes)
    found = [least for least, _ in sizes]
    wishes = sorted(range(len(sizes)), key=lambda n: sizes[n][1] - sizes[n][0])
    for place, n in enumerate(wishes):
        more = min(max(0, sizes[n][1] - sizes[n][0]), spare // (len(wishes) - place))
        found[n], spare = found[n] + more, spare - more
    return found


def titled(title: str, rows: Rows) -> RenderableType:
    """A table below its name; without a name the table alone."""
    return Group(Text(plain(title), "bold"), rows) if title else rows


def bare_table(header: bool = True, gap: int = GAPS[0]) -> Table:
    """A table without lines: columns and white space."""
    return Table(box=None, show_header=header, header_style="dim", pad_edge=False, padding=(0, gap, 0, 0))


def facts(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, one below the other."""
    table = bare_table(header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(plain(name), value if isinstance(value, Text) else cell(value))
    return table
