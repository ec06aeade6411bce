"""The board as a terminal shows it: ranks, names, and each score as a bar where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.board.place import Place
from lbmigrate.console.tables import bare_table
from lbmigrate.telling.foreign import plain

MEDAL = "bold yellow"


STAR = range(60, 10_000)  # columns of a terminal on which the board has bars


IDS = 110  # columns from which on the board names ids too


def board(period: str, places: Sequence[Place], highlight: Any, width: int, terminal: bool) -> RenderableType:
    """The places of a period. A terminal that is wide enough gets each score as a bar too, the best being full."""
    title = Text.assemble(("Leaderboard", "bold"), (f" · {plain(period)}", "dim"))
    if not places:
        return Group(title, Text("nobody is on it yet", "dim"))
    starred, ids = terminal and width in STAR, width >= IDS
    table = bare_table()
    table.add_column("  rank", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True, overflow="ellipsis", max_width=28 if terminal else None)
    for name in ("score", *([""] if starred else []), "streak", "events"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    if ids:
        table.add_column("user", style="dim", no_wrap=True)
    best = max(place.score for place in places)
    columns = min(30, max(width - 66, 8))
    for place in places:
        own = highlight is not None and str(place.user) == str(highlight)
        star = [Text("━" * _length(place.score, best, columns), "cyan")] if starred else []
        tail = [plain(place.user)] if ids else []
        table.add_row(*_place(place, own), *star, *_activity(place), *tail, style="bold cyan" if own else "")
    return Group(title, Text(), table) if terminal else Group(title, table)


def _place(place: Place, own: bool) -> tuple[Text, Text, Text]:
    medal = MEDAL if place.rank == 1 else ""
    name = plain(place.name or "").strip()
    return (
        Text(f"{'› ' if own else ''}{place.rank:,}", medal),
        Text(name, medal) if name else Text("(no name)", "dim"),
        Text(f"{place.score:,}", "bold"),
    )


def _activity(place: Place) -> tuple[str, str]:
    return f"{place.streak:,} d" if place.streak else "–", f"{place.events:,}"


def _length(score: int, best: int, columns: int) -> int:
    """Columns for a score; anything above zero is seen."""
    return max(1, columns * score // best) if score > 0 else 0
