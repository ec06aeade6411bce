"""What the looking verbs show, as tables: calm columns, numbers to the right, one thing in colour at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from lbmigrate.console.columns import Column, Rows, bare_table, facts, titled
from lbmigrate.console.format import cell, iso
from lbmigrate.records import amount
from lbmigrate.state.statuses import RunStatus, StepStatus
from lbmigrate.telling.foreign import plain

if TYPE_CHECKING:
    from lbmigrate.checks.finding import Finding
    from lbmigrate.feature_flag import Switches
    from lbmigrate.migration.plan import Plan
    from lbmigrate.migration.standing import StepOutlook
    from lbmigrate.passes.outlook import SourceOutlook

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
LONGEST_WORD = 28  # columns of a word in a sentence, before it goes on in the next line
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "refusal": ("✗", "red")}


def generic(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], optional: Sequence[str] = ()
) -> RenderableType:
    """Any rows. A column of whole numbers goes to the right; a Text keeps its style; the title may be empty.

    The columns whose names are `optional` are left out where there is no room for them, the first of them first.
    """
    found = [list(row) for row in rows]
    if not found:
        return Text.assemble((plain(title), "bold"), ("  none" if title else "none", "dim"))
    shown = [[item if isinstance(item, Text) else Text(cell(item)) for item in row] for row in found]
    return titled(
        title, Rows([_column(name, [row[n] for row in found]) for n, name in enumerate(columns)], shown, optional)
    )


def _column(name: str, values: Sequence[Any]) -> Column:
    figures = all(_is_figure(each) for each in values)
    whole = any(isinstance(each, dt.datetime) or (isinstance(each, Text) and each.no_wrap) for each in values)
    told = any(" " in str(each) for each in values)  # sentences, of which a long word may be broken
    return Column(plain(name), right=figures, exact=figures or whole, most=LONGEST_WORD if told else None)


def origins(rows: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Each value of a configuration, with where it was said where there is room for that."""
    columns = (Column("key", exact=True), Column("value", most=12, readable=12), Column("from", exact=True))
    return Rows(columns, [[Text(cell(each)) for each in row] for row in rows], ["from"])


def _is_figure(value: Any) -> bool:
    """Whether a value is fine in a column of figures."""
    if isinstance(value, Text):
        return value.justify == "right"
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def figure(text: str) -> Text:
    """A number in words, for a column of figures."""
    return Text(text, justify="right", no_wrap=True)


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
    compared = f"{amount(row['entries'], 'entry')} of {amount(row['users'], 'user')}"
    agree = "agrees" if row["entries"] == 1 else "agree"
    found = f"{agree} with the ledger" if row["passed"] else f"compared, {amount(row['mismatches'], 'mismatch')}"
    return Text.assemble(mark, f"{compared} {found}", (f"  {iso(row['at'])}", "dim"))
