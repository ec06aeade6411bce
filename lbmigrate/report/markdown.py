"""A report as Markdown, for a ticket or a pull request that shows no pages. Charts are their sentence there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lbmigrate.report.blocks import Block, Grid, Listing, Report, Words, is_figure, shown
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]<>()#|~!@&$])|(?<![^\s])([-+.])(?=\s|$)|(?<=\d)([.)])(?=\s)")


def text(report: Report) -> str:
    """The whole file. Every text of others is one line, harmless, and means nothing to Markdown."""
    lines = [f"# {_text(report.title)}", "", f"**{'✓' if report.passed else '✗'} {_text(report.verdict)}**", ""]
    lines += [_text(report.summary), ""]
    lines += [f"> {_text(report.bound)}", ""] if report.bound else []
    lines += [f"- {_text(name)}: {_text(value)}" for name, value in report.facts]
    for section in report.sections:
        lines += ["", f"## {_text(section.heading)}", ""]
        lines += [line for block in section.blocks for line in _block(block)]
    return "\n".join([*lines, "", f"*{_text(report.made)}*", ""])


def _block(block: Block) -> Iterable[str]:
    match block:
        case Words(words):
            yield from (_text(words), "")
        case Listing(items):
            yield from (*(f"- {_text(item)}" for item in items), "")
        case Grid():
            yield from (*_grid(block), "")
        case _:
            yield from (f"**{_text(block.title)}**: {_text(block.told)}", "")


def _grid(grid: Grid) -> Iterable[str]:
    figures = [all(map(is_figure, column)) for column in zip(*grid.rows, strict=True)]
    yield from (_text(grid.caption), "")
    yield _row(map(_text, grid.columns))
    yield _row("---:" if figure else "---" for figure in figures)
    for number, row in enumerate(grid.rows):
        first, *rest = (_text(shown(value)) for value in row)
        yield _row([f"✗ {first}" if number in grid.wrong else first, *rest])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: str) -> str:
    return _MEANS_SOMETHING.sub(lambda found: f"\\{found[0]}", plain(hidden(value)))
