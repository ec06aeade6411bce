"""Charts as inline SVG: a title and a description for who does not see them, shapes and not colours alone for who does.

Colours and sizes of text are those of the page's style, so one drawing serves light, dark, paper and a narrow window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape as escaped

from lbmigrate.report.blocks import Kinds, Pace, Weeks, brief
from lbmigrate.telling.foreign import plain

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 84, 12, 14, 34
INNER, TALL = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
ROW, NAMES = 34, 250  # of the chart of kinds: height of a row, width of the names


def text(words: str) -> str:
    """A text of others as it may stand in a drawing."""
    return escaped(plain(words))


def weeks(chart: Weeks, number: int) -> str:
    """Bars for the entries, and a line with dots for what stands against them."""
    top, bottom = _nice([*chart.bars, *(value for value in chart.line if value is not None), 0])
    step = INNER / max(len(chart.bars), 1)
    scale = _Scale(bottom, top)
    zero = scale.y(0)
    parts = [scale.grid(), f'<path class="axis" d="M{LEFT} {zero:.1f}H{WIDTH - RIGHT}"/>']
    for place, value in enumerate(chart.bars):
        y, x = scale.y(value), LEFT + (place + 0.15) * step
        look = "bad" if place in chart.wrong else "bar"
        box = f'x="{x:.1f}" y="{min(y, zero):.1f}" width="{step * 0.7:.2f}" height="{abs(y - zero):.1f}"'
        parts.append(f'<rect class="{look}" {box}/>')
        if place in chart.wrong:
            parts.append(f'<text class="mark" x="{x + step * 0.35:.1f}" y="{TOP}" text-anchor="middle">\u2717</text>')
    spots = [(LEFT + (n + 0.5) * step, scale.y(value)) for n, value in enumerate(chart.line) if value is not None]
    parts.append(_line(spots))
    radius = min(3.5, max(1.2, step * 0.3))
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>' for x, y in spots]
    parts.append(_below(chart.labels, step))
    return _drawing(chart.title, chart.told, number, HEIGHT, parts)


def pace(chart: Pace, number: int) -> str:
    """A rate as an area under a line."""
    top, _ = _nice([value for _, value in chart.points] + [0])
    scale = _Scale(0, top)
    end = max((second for second, _ in chart.points), default=0) or 1
    spots = [(LEFT + second / end * INNER, scale.y(value)) for second, value in chart.points]
    base = scale.y(0)
    area = f"M{LEFT} {base:.1f}" + "".join(f"L{x:.1f} {y:.1f}" for x, y in spots) + f"L{spots[-1][0]:.1f} {base:.1f}Z"
    parts = [scale.grid(), f'<path class="area" d="{area}"/>', _line(spots)]
    parts.append(f'<path class="axis" d="M{LEFT} {base:.1f}H{WIDTH - RIGHT}"/>')
    y = HEIGHT - 10
    parts.append(f'<text x="{LEFT}" y="{y}">0 s</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{brief(end)} s</text>')
    return _drawing(chart.title, chart.told, number, HEIGHT, parts)


def kinds(chart: Kinds, number: int) -> str:
    """A bar for each kind, its name before it and its number behind it."""
    most = max((count for _, count in chart.numbers), default=1) or 1
    room = WIDTH - NAMES - 100
    parts = []
    for place, (name, count) in enumerate(chart.numbers):
        middle = TOP + place * ROW + ROW / 2
        width = max(2.0, count / most * room)
        parts.append(f'<text x="{NAMES - 10}" y="{middle + 5:.0f}" text-anchor="end">{text(name)}</text>')
        parts.append(f'<rect class="bad" x="{NAMES}" y="{middle - 10:.0f}" width="{width:.1f}" height="20"/>')
        parts.append(f'<text x="{NAMES + width + 8:.1f}" y="{middle + 5:.0f}">{count:,}</text>')
    return _drawing(chart.title, chart.told, number, 2 * TOP + ROW * len(chart.numbers), parts)


class _Scale:
    """From values to heights, with lines at the bottom, in the middle and at the top."""

    def __init__(self, bottom: float, top: float) -> None:
        self._bottom, self._top = bottom, top

    def y(self, value: float) -> float:
        return TOP + (self._top - value) / (self._top - self._bottom) * TALL

    def grid(self) -> str:
        marks = sorted({self._bottom, 0.0, self._top, *([self._top / 2] if self._bottom == 0 else [])})
        return "".join(
            f'<path class="grid" d="M{LEFT} {self.y(mark):.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 8}" y="{self.y(mark) + 5:.1f}" text-anchor="end">{brief(mark)}</text>'
            for mark in marks
        )


def _nice(values: Sequence[float]) -> tuple[float, float]:
    """Round ends of an axis that holds these values: (top, bottom)."""
    return _rounded(max(values)) or 1.0, 0.0 - _rounded(-min(values))


def _rounded(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten, from zero on."""
    if value <= 0:
        return 0.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 2.5, 5, 10) if step * size >= value * 0.999999)


def _line(spots: Sequence[tuple[float, float]]) -> str:
    if not spots:
        return ""
    return f'<path class="line" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in spots)}"/>'


def _below(labels: Sequence[str], step: float) -> str:
    """The first, the middle and the last label; more would not be readable in a narrow window."""
    last = len(labels) - 1
    wanted = dict.fromkeys((0, last // 2, last)) if last > 5 else dict.fromkeys((0, last))
    anchors = {0: "start", last: "end"} if last else {0: "start"}
    places = {0: LEFT + 0.0, last: float(WIDTH - RIGHT)} if last else {0: float(LEFT)}
    return "".join(
        f'<text x="{places.get(n, LEFT + (n + 0.5) * step):.1f}" y="{HEIGHT - 10}" '
        f'text-anchor="{anchors.get(n, "middle")}">{text(labels[n])}</text>'
        for n in (wanted if labels else ())
    )


def _drawing(title: str, told: str, number: int, height: float, parts: Iterable[str]) -> str:
    name = f"chart{number}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="{name}t {name}d">'
        f'<title id="{name}t">{text(title)}</title><desc id="{name}d">{text(told)}</desc>{"".join(parts)}</svg>'
    )
