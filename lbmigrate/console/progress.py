"""A run as it goes: bars that move at a terminal, a line now and then elsewhere, a line for every step that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from lbmigrate.console.ending import run_summary, steps_ended
from lbmigrate.console.format import countdown, counted, duration, named, rate, summary
from lbmigrate.migration.pace import Line, Stage
from lbmigrate.records import Listener, Piece, Report, Way, Work
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.console.screen import Screen

EVERY = 5.0  # seconds between two lines about one subject, without a terminal
SUBJECT, TITLE, TOOK = 14, 20, 12  # columns of a bar's subject; of a step's title and of the time it took
BAR = range(6, 41)  # columns that a bar may have
ROOMY = 100  # columns from which on a bar also names its unit


WORDS = {Way.APPLY: "", Way.REVERT: "reverted", Way.KEEP: "kept"}  # beside the title of a work that ended


class Progress:
    """Listens to one run. Draws only on `screen`, and not at all when `quiet`; warnings are always said."""

    def __init__(self, screen: Screen, clock: Callable[[], float], quiet: bool = False) -> None:
        self._screen, self._clock, self._quiet = screen, clock, quiet
        self._stage: Stage | None = None
        self._came_to, self._did = "", False  # the last work; whether anything was done that a sentence tells
        self._steps: list[Work] = []  # that ended
        self._way = Way.APPLY

    @contextmanager
    def shown(self) -> Iterator[Listener]:
        """Within the block, what is reported to the listener is shown; the terminal is afterwards as it was before."""
        with self._display():
            try:
                yield self._take
            finally:
                self._end("·", "stopped", "yellow")

    def _display(self) -> AbstractContextManager[object]:
        if self._quiet or not self._screen.live:
            return nullcontext()
        return Live(
            get_renderable=self._moving,
            console=self._screen.rich,
            transient=True,  # what stays is printed above it, line by line
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _take(self, report: Report) -> None:
        now = self._clock()
        if report.event == "begin":
            self._stage, self._way = Stage(plain(report.work), begun=now, seen=now), report.way
        elif report.event == "end":
            self._end("✓", WORDS[report.way], "green")
            if report.work.number is not None:
                self._steps.append(report.work)
        elif report.event == "finish":
            self._summary(report.facts)
        elif report.piece is not None and self._stage is not None:
            self._piece(self._stage, report.piece, now)

    def _piece(self, stage: Stage, piece: Piece, now: float) -> None:
        before = stage.held_by
        line = stage.take(piece, now)
        if stage.held_by != before:  # not the words: a lag that grows is one hold
            self._note(f"held: {stage.held}" if stage.held else "going on")
        if line is not None:
            self._close(stage, [other for other in stage.open if other != line.subject])
            if not self._screen.live and now - line.told >= EVERY:
                line.told = now
                self._say(underway(line))
        self._did = self._did or bool(piece.note or (piece.done and self._way is not Way.APPLY))
        if piece.note:
            self._note(piece.note)
        if piece.warning:
            self._screen.sentence("!", piece.warning, "yellow")

    def _close(self, stage: Stage, subjects: Iterable[str]) -> None:
        """The run has turned to something else: what a line came to is said once, and stays."""
        for subject in list(subjects):
            self._say(finished(stage.open.pop(subject)))

    def _end(self, mark: str, word: str, style: str) -> None:
        if self._stage is None:
            return
        stage, self._stage = self._stage, None
        self._came_to = summary(stage.counts)
        self._close(stage, stage.open)
        if self._quiet:
            return
        head = _head(f"{stage.title:<{TITLE}} {word}".rstrip(), self._clock() - stage.begun)
        told = self._came_to
        fits = len(head) + len(told) + 5 <= self._screen.width
        self._screen.line((mark, style), f" {head}", (f"   {told}" if told and fits else "", "dim"))
        if told and not fits:
            self._screen.sentence("   ", told, "dim")

    def _summary(self, facts: Mapping[str, Any]) -> None:
        """What a run came to, when it has let go of everything."""
        self._end("·", "stopped", "yellow")
        if not self._quiet:
            self._screen.sentence(
                "·", run_summary(facts, self._came_to, self._did, steps_ended(self._steps, self._way))
            )

    def _note(self, text: str) -> None:
        if not self._quiet:
            self._screen.sentence("  ·", text, "dim")

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._screen.line((text, "dim"))

    def _moving(self) -> RenderableType:
        """What is redrawn several times a second, by another thread: the open bars and the step's name and age."""
        stage = self._stage
        if stage is None:
            return ""
        age = duration(self._clock() - stage.begun)
        bars = [bar(line, self._screen.width, bool(stage.held)) for line in list(stage.open.values())]
        held = f"  held: {plain(stage.held)}" if stage.held else ""
        return Group(*bars, Text.assemble("  ", stage.title, (f"  {age}", "dim"), (held, "yellow")))


def underway(line: Line) -> str:
    """A line in words, while it moves."""
    return "  ".join(filter(None, (_subject(line), f"{_amount(line)} {_unit(line)}", *_pace(line))))


def finished(line: Line) -> str:
    """A line in words, when it came to its end."""
    speed = f" · {rate(line.rate)}" if line.rate else ""
    return f"  {_head(plain(line.subject), line.active)}   {counted(line.done, line.unit)}{speed}"


def bar(line: Line, width: int, held: bool = False) -> Text:
    """A line as a bar with its figures, less than `width` columns wide; the bar takes what the figures leave.

    Where not all figures fit, the rate and then the total are left out. What is `held` has no time left.
    """
    share = line.percent
    figures = next((each for each in _figures(line, width, held) if _room(each, width) >= 0), "")
    text = Text(f"{_subject(line)}  ", no_wrap=True, overflow="crop")
    room = _room(figures, width) - 2
    if share is not None and room >= BAR.start:
        columns = min(room, BAR.stop - 1)
        filled = columns * share // 100
        text.append("━" * filled, "cyan").append("─" * (columns - filled), "bright_black").append("  ")
    return text.append(figures)


def _figures(line: Line, width: int, held: bool) -> Iterator[str]:
    """What is said of a line, the most first."""
    percent, speed, left = _pace(line)
    left = "" if held else f"  {left:>9}"
    unit = f" {_unit(line)}" if width >= ROOMY else ""
    yield f"{percent:>5}  {_amount(line)}{unit}  {speed:>9}{left}"
    yield f"{percent:>5}  {_amount(line)}{left}"
    yield f"{percent:>5}  {line.done:,}{left}"
    yield f"{percent:>5}"


def _room(figures: str, width: int) -> int:
    """The columns that a line's subject and figures leave; the last one of a terminal stays free."""
    return width - 1 - SUBJECT - 4 - cell_len(figures)


def _head(title: str, seconds: float) -> str:
    """What took how long: the first two columns of everything that ended."""
    return f"{title}{' ' * (TITLE - cell_len(title))}{duration(seconds):>{TOOK}}"


def _subject(line: Line) -> str:
    """Indented, and padded so that the figures of all subjects stand below each other."""
    name = plain(line.subject)
    return f"  {name}{' ' * (SUBJECT - cell_len(name))}"


def _amount(line: Line) -> str:
    if line.total is None:
        return f"{line.done:,}"
    total = f"{line.total:,}"
    return f"{line.done:>{len(total)},} / {'~' if line.estimated else ''}{total}"


def _unit(line: Line) -> str:
    return named(line.done if line.total is None else line.total, line.unit)


def _pace(line: Line) -> tuple[str, str, str]:
    """Percent, rate and time left, each empty where nothing can be said."""
    percent, speed, seconds = line.percent, line.rate, line.seconds_left  # once each: a bar moves while it is drawn
    return (
        "" if percent is None else f"{percent} %",
        rate(speed) if speed else "",
        f"{countdown(seconds)} left" if seconds else "",
    )
