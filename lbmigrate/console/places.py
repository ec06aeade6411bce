"""The board as a terminal shows it: ranks, names, and each score as a bar where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from lbmigrate.console.columns import Column, Rows
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.board.place import Place

MEDAL = "bold yellow"
BAR = range(8, 31)  # columns that a bar may have
LONGEST_WORD = 28  # columns of a name without a space, before it goes on in the next line
COLUMNS = (
    Column("  rank", right=True, exact=True),
    Column("name", most=LONGEST_WORD),
    Column("score", right=True, exact=True),
    Column("", readable=0),
    Column("streak", right=True, exact=True),
    Column("events", right=True, exact=True),
    Column("user", exact=True, style="dim"),
)
OPTIONAL = ("user", "", "streak", "events")


@dataclass(frozen=True, slots=True)
class Bar:
    """A score beside the best one, as long as there is room."""

    score: int
    best: int

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(BAR.start, BAR.stop - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("━" * _length(self.score, self.best, options.max_width), "cyan")


def board(period: str, places: Sequence[Place], highlight: Any, terminal: bool) -> RenderableType:
    """The places of a period. A terminal with room for it gets each score as a bar too, the best being full."""
    title = Text.assemble(("Leaderboard", "bold"), (f" · {plain(period)}", "dim"))
    if not places:
        return Group(title, Text("nobody is on it yet", "dim"))
    best = max(place.score for place in places)
    own = [highlight is not None and str(place.user) == str(highlight) for place in places]
    rows = [_row(place, mine, best) for place, mine in zip(places, own, strict=True)]
    if not terminal:
        shown = [n for n, column in enumerate(COLUMNS) if column.name]
        return Group(title, Rows([COLUMNS[n] for n in shown], [[row[n] for n in shown] for row in rows]))
    return Group(title, Text(), Rows(COLUMNS, rows, OPTIONAL, ["bold cyan" if mine else "" for mine in own]))


def _row(place: Place, own: bool, best: int) -> tuple[RenderableType, ...]:
    medal = MEDAL if place.rank == 1 else ""
    name = plain(place.name or "").strip()
    return (
        Text(f"{'› ' if own else ''}{place.rank:,}", medal),
        Text(name, medal) if name else Text("(no name)", "dim"),
        Text(f"{place.score:,}", "bold"),
        Bar(place.score, best),
        Text(f"{place.streak:,} d" if place.streak else "–"),
        Text(f"{place.events:,}"),
        Text(plain(place.user)),
    )


def _length(score: int, best: int, columns: int) -> int:
    """Columns for a score; anything above zero is seen."""
    return max(1, columns * score // best) if score > 0 else 0
