"""A report as one page: no network, no script, nothing beside it. The policy in its head holds browsers to that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from lbmigrate.report import svg
from lbmigrate.report.blocks import (
    Block,
    Cell,
    Grid,
    Kinds,
    Listing,
    Pace,
    Report,
    Section,
    Weeks,
    Words,
    is_figure,
    shown,
)
from lbmigrate.report.style import STYLE
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHORT = 28  # characters of a text that is never broken


def page(report: Report) -> str:
    """The whole file. Every text of others is one line, harmless and escaped."""
    look = "good" if report.passed else "bad"
    bound = f'<p class="bound">{_text(report.bound)}</p>' if report.bound else ""
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in report.facts)
    sections = "\n".join(_sections(report.sections))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="robots" content="noindex">\n<title>{_text(report.verdict)} · {_text(report.title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{_text(report.title)}</h1>\n"
        f'<p class="verdict {look}">{"✓" if report.passed else "✗"} {_text(report.verdict)}</p>\n'
        f"<p>{_text(report.summary)}</p>\n{bound}\n<dl>{facts}</dl>\n</header>\n"
        f"<main>\n{sections}\n</main>\n<footer>{_text(report.made)}</footer>\n</body>\n</html>\n"
    )


def _text(value: str) -> str:
    return escape(plain(hidden(value)))


def _sections(sections: Iterable[Section]) -> Iterable[str]:
    number = 0
    for section in sections:
        blocks = []
        for block in section.blocks:
            number += 1
            blocks.append(_block(block, number))
        yield f"<section>\n<h2>{_text(section.heading)}</h2>\n{''.join(blocks)}</section>"


def _block(block: Block, number: int) -> str:
    match block:
        case Words(text):
            return f"<p>{_text(text)}</p>\n"
        case Listing(items):
            return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>\n"
        case Grid():
            return _grid(block, number)
        case Weeks():
            bars = '<span class="key"></span>entries'
            key = f'{bars}<span class="key stroke"></span>{_text(block.against)}'
            return _figure(block.title, block.told, key, svg.weeks(block, number))
        case Pace():
            return _figure(block.title, block.told, "", svg.pace(block, number))
        case Kinds():
            return _figure(block.title, block.told, "", svg.kinds(block, number))


def _figure(title: str, told: str, key: str, drawing: str) -> str:
    return f"<figure><figcaption><b>{_text(title)}</b>{key}<br>{_text(told)}</figcaption>{drawing}</figure>\n"


def _grid(grid: Grid, number: int) -> str:
    """A table that scrolls by itself where the window is narrow, by keyboard too."""
    columns = list(zip(*grid.rows, strict=True)) or [()] * len(grid.columns)
    looks = [f' class="{_look(column)}"' for column in columns]
    head = "".join(f'<th scope="col"{look}>{_text(name)}</th>' for name, look in zip(grid.columns, looks, strict=True))
    rows = "".join(
        f"<tr{' class=wrong' if place in grid.wrong else ''}>{_cells(row, looks)}</tr>\n"
        for place, row in enumerate(grid.rows)
    )
    name, wide = f"table{number}", ' class="wide"' if any('"w"' in look for look in looks) else ""
    return (
        f'<p class="caption" id="{name}">{_text(grid.caption)}</p>\n'
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{name}">'
        f'<table{wide} aria-labelledby="{name}">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _look(column: Sequence[Cell]) -> str:
    """Figures to the right; short texts in one line; long ones, which may have no blank in them, as they fit."""
    if all(map(is_figure, column)):
        return "n"
    return "s" if all(len(shown(value)) <= SHORT for value in column) else "w"


def _cells(row: tuple[Cell, ...], looks: Sequence[str]) -> str:
    first, *rest = (_text(shown(value)) for value in row)
    cells = "".join(f"<td{look}>{text}</td>" for look, text in zip(looks[1:], rest, strict=True))
    return f'<th scope="row"{looks[0]}>{first}</th>{cells}'
