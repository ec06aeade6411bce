"""What the looking verbs show, as tables: calm columns, numbers to the right, one thing in colour at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lbmigrate.checks.finding import Finding
from lbmigrate.console.format import cell, iso
from lbmigrate.feature_flag import Switches
from lbmigrate.migration.plan import Plan, StepOutlook
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.state.statuses import RunStatus, StepStatus
from lbmigrate.telling.foreign import plain

STATES: dict[str, str] = {
    StepStatus.APPLIED: "green",
    StepStatus.APPLYING: "cyan",
    StepStatus.NEW: "dim",
    RunStatus.DONE: "green",
    RunStatus.RUNNING: "cyan",
    RunStatus.WORK_REMAINS: "yellow",
    RunStatus.STOPPED: "yellow",
    **dict.fromkeys((StepStatus.OFF, StepStatus.REVERTING, StepStatus.REVERTED, StepStatus.KEPT), "yellow"),
}
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "refusal": ("✗", "red")}


def generic(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> RenderableType:
    """Any rows. A column of whole numbers goes to the right; a Text keeps its style; the title may be empty."""
    found = [list(row) for row in rows]
    if not found:
        return Text.assemble((plain(title), "bold"), ("  none" if title else "none", "dim"))
    table = bare_table()
    for place, name in enumerate(columns):
        figures = all(_is_figure(row[place]) for row in found)
        exact = figures or any(isinstance(row[place], dt.datetime) for row in found)
        justify: Literal["right", "left"] = "right" if figures else "left"
        table.add_column(plain(name), justify=justify, no_wrap=exact, overflow="fold")
    for row in found:
        table.add_row(*(item if isinstance(item, Text) else cell(item) for item in row))
    return Group(Text(plain(title), "bold"), table) if title else table


def _is_figure(value: Any) -> bool:
    """Whether a value is fine in a column of figures."""
    if isinstance(value, Text):
        return value.justify == "right"
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def figure(text: str) -> Text:
    """A number in words, for a column of figures."""
    return Text(text, justify="right", no_wrap=True)


def facts(rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, one below the other."""
    table = bare_table(header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(plain(name), value if isinstance(value, Text) else cell(value))
    return table


def bare_table(header: bool = True) -> Table:
    """A table without lines: columns and white space."""
    return Table(box=None, show_header=header, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def state(word: str) -> Text:
    """A status, in its colour."""
    return Text(plain(word), STATES.get(word, "red"))


# --- plan and doctor -----------------------------------------------------------------------------------------------


def plan(found: Plan) -> list[RenderableType]:
    """Steps with what is to do, sources with what would be read, and what `doctor` found."""
    views: list[RenderableType] = [generic("Steps", ("step", "state", "to do"), map(_outlook, found.steps))]
    if found.sources:
        columns = ("source", "collection", "documents", "chunks", "to read")
        views.append(generic("Sources", columns, map(_source, found.sources)))
    return [*views, findings(found.findings)] if found.findings else views


def _outlook(step: StepOutlook) -> tuple[Any, ...]:
    todo = Text("\n".join(map(plain, step.todo))) if step.todo else Text("nothing", "dim")
    return step_name(step), state(step.status), todo


def step_name(step: StepOutlook) -> Text:
    """A step by its number and its name."""
    return Text(f"{step.number} {plain(step.name)}", no_wrap=True)


def _source(source: SourceOutlook) -> tuple[Any, ...]:
    documents = figure(f"{'~' if source.estimated else ''}{source.documents:,}")
    return source.name, source.collection, documents, source.chunks, source.way


def findings(found: Sequence[Finding]) -> RenderableType:
    """One entry for each finding: the fact, and below it the fix."""
    if not found:
        return Text.assemble(("✓", "green"), " nothing to fix")
    table = bare_table(header=False)
    for mark in (True, False, False):
        table.add_column(no_wrap=mark, overflow="fold")
    for each in found:
        sign, style = MARKS[each.level]
        fix = ("\n→ " + plain(each.fix), "dim") if each.fix else ""
        table.add_row(Text(sign, style), Text(plain(each.subject), "bold"), Text.assemble(plain(each.fact), fix))
    return table


# --- the flag ------------------------------------------------------------------------------------------------------


def flag(switches: Switches, document: Mapping[str, Any]) -> RenderableType:
    """Both sides of the flag; who set it, and when, where somebody did."""
    sides = (("write", switches.write), ("read", switches.read))
    known = (("set at", "updatedAt"), ("by", "updatedBy"))
    last = [(name, document[key]) for name, key in known if key in document]
    return facts([*((side, Text("on", "green") if value else Text("off")) for side, value in sides), *last])


# --- verdict -------------------------------------------------------------------------------------------------------


def verdict(row: Mapping[str, Any]) -> list[RenderableType]:
    """What a verification found, its first mismatches included."""
    wrong = [Text(plain(each)) for each in row.get("first", ())]
    hidden = row.get("mismatches", 0) - len(wrong)
    more = [Text(f"and {hidden:,} more", "dim")] if wrong and hidden > 0 else []
    return [_judgement(row), *([Group(*wrong, *more)] if wrong else [])]


def _judgement(row: Mapping[str, Any]) -> Text:
    if not row:
        return Text("nothing was verified yet", "dim")
    mark = Text("✓ ", "green") if row["passed"] else Text("✗ ", "red")
    compared = f"{row['entries']:,} entries of {row['users']:,} users"
    found = "agree with the ledger" if row["passed"] else f"compared, {row['mismatches']:,} mismatches"
    return Text.assemble(mark, f"{compared} {found}", (f"  {iso(row['at'])}", "dim"))
