"""A stream as a place to draw on: a terminal with its width and colours, or plain lines without either."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lbmigrate.console.streams import lossy
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

NEAREST = str.maketrans("✓✗·━─›–…→", "+x-=->-.>")
UNBOUNDED = 10_000  # columns: what is piped into a file or a program is never cut or wrapped


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Our own signs as the nearest that every encoding has; foreign characters by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end].translate(NEAREST)
    return lost.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("lbmigrate.nearest", _nearest)


def said(text: str) -> str:
    """A sentence of ours, whatever of others it quotes: one line, without secrets."""
    return plain(hidden(text))


class Screen:
    """Draws on `stream`. Text is taken as it is: markup, emoji codes and escapes in it mean nothing.

    On one `for_narration` what cannot be written is lost.
    """

    def __init__(self, stream: TextIO, for_narration: bool = False) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lbmigrate.nearest")
        self.terminal = stream.isatty()
        self.rich = RichConsole(
            file=lossy(stream) if for_narration else stream,
            force_terminal=self.terminal,
            force_jupyter=False,
            width=None if self.terminal else UNBOUNDED,
            markup=False,
            emoji=False,
            highlight=False,
        )
        self.live = self.terminal and not self.rich.is_dumb_terminal

    @property
    def width(self) -> int:
        return self.rich.width

    def sentence(self, mark: str, text: str, style: str = "", mark_style: str = "") -> None:
        """A line that begins with a mark; on a terminal its continuation is indented below its beginning."""
        body = Text(said(text), style=style)
        if not self.terminal:
            self.rich.print(f"{mark} {body.plain}", soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(mark, style=mark_style or style), body)
        self.rich.print(grid)

    def line(self, *parts: str | tuple[str, str] | Text) -> None:
        """One line of text and styled parts, left to the terminal to wrap: what is copied from it has no breaks."""
        self.rich.print(Text.assemble(*parts), soft_wrap=True)

    def draw(self, *views: RenderableType) -> None:
        """Tables and the like, one below the other with a free line between."""
        for number, view in enumerate(views):
            if number or self.terminal:
                self.rich.print()
            if self.terminal:
                self.rich.print(view)
            else:
                self._print_trimmed(view)

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[Sequence[RenderableType]], None]]:
        """Within the block, views take the place of those before. What does not fit the terminal's height is cut."""
        with Live(console=self.rich, auto_refresh=False, screen=True) as live:
            shown: list[RenderableType] = []

            def draw(views: Sequence[RenderableType]) -> None:
                shown[:] = views
                parts = [part for view in views for part in (view, Text())]
                live.update(Group(*parts, Text("q ends", "dim")), refresh=True)

            yield draw
        self.draw(*shown)

    def write(self, text: str) -> None:
        """Text as it is."""
        self.rich.file.write(text)
        self.rich.file.flush()

    def _print_trimmed(self, view: RenderableType) -> None:
        with self.rich.capture() as capture:
            self.rich.print(view)
        for line in capture.get().splitlines():
            self.rich.print(line.rstrip(), soft_wrap=True)
