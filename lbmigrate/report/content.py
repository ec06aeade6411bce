"""What a report says: the verdict first, then what it was told from, and at the end what people will ask about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lbmigrate.counter.agreement import Agreement
from lbmigrate.records import amount, beside
from lbmigrate.report.blocks import Block, Grid, Kinds, Listing, Pace, Report, Section, Weeks, Words, iso
from lbmigrate.report.counter import against
from lbmigrate.verify.kinds import MEANING, Kind
from lbmigrate.verify.result import Mismatch, PeriodRow, Verification

MOST_PERIODS = 30  # rows of the table of periods, besides those that are not as they should be
MOST_BARS = 260  # weeks of a chart, five years
STEPS = 60  # of the rate over time
LATER = " None of that is a mismatch: it is newer than the last backfill, or at a time that was a guess."
SHAPES = {  # of the names of periods, the one that a chart shows first
    "week": r"\d{4}-W\d\d", "month": r"\d{4}-\d\d", "day": r"\d{4}-\d\d-\d\d", "year": r"\d{4}",
}  # fmt: skip
HEALS = {  # what heals a mismatch, as a command
    "steps": "lbmigrate run",
    "backfill": "lbmigrate backfill",
    "reconcile": "lbmigrate reconcile",
    "roll-up": "lbmigrate verify --repair",
    "person": "a person",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a verification does not know of itself: where and how it was called, by whom."""

    database: str
    server: str
    command: str
    by: str


def report(found: Verification, around: Surroundings, beside: Agreement | None = None) -> Report:
    """The whole report of a verification; with `beside` also how the board agrees with an older counter."""
    return Report(
        title=f"Verification of the leaderboard in {around.database}",
        passed=found.passed,
        verdict=_verdict(found),
        summary=_summary(found),
        bound=_bound(found),
        facts=tuple(_facts(found, around)),
        sections=tuple(_sections(found, beside)),
        made=f"Made by {_maker()}. This file loads nothing and runs nothing.",
    )


def _maker() -> str:
    """This program with its version, which is not known where it is not installed."""
    with suppress(PackageNotFoundError):
        return f"lbmigrate {version('lbmigrate')}"
    return "lbmigrate"


def _verdict(found: Verification) -> str:
    if found.passed:
        return "Passed"
    if found.wrong:
        return f"Failed: {amount(found.wrong, 'mismatch')}"
    return "Not passed: not everything could be looked at" if found.skipped else "Not passed"


def _summary(found: Verification) -> str:
    what, one = f"{amount(found.entries, 'entry')} of {amount(found.users, 'user')}", found.entries == 1
    if found.passed:
        return f"{what} {'agrees' if one else 'agree'} with the ledger, and with the sources where those were read."
    return f"{what} {'was' if one else 'were'} compared with the ledger, and with the sources where those were read."


def _bound(found: Verification) -> str:
    if found.bound is not None:
        return found.bound.words
    return "Everything was looked at: no figure here is an estimate." if found.level == "full" else ""


def _facts(found: Verification, around: Surroundings) -> Iterator[tuple[str, str]]:
    yield "database", f"{around.database} on {around.server}"
    yield "verified", iso(found.at)
    yield "took", f"{found.seconds:,.1f} s"
    yield "level", "full" if found.level == "full" else _level(found.options)
    yield "rules", found.rules or "not noted"
    yield "covers", found.covers or "nothing was emitted yet"
    yield "command", around.command
    yield "by", around.by


def _level(options: Mapping[str, object]) -> str:
    said = ", ".join(f"{name} {options[name]}" for name in ("sample", "top", "seed") if options.get(name) is not None)
    return f"sample ({said})" if said else "sample"


# --- sections ------------------------------------------------------------------------------------------------------


def _sections(found: Verification, beside: Agreement | None) -> Iterator[Section]:
    if found.wrong:
        yield Section("What is wrong", list(_wrong(found)))
    if found.skipped:
        told = Words("Skipped is not passed: until this can be looked at, the verdict does not hold.")
        yield Section("What could not be looked at", [told, Listing(found.skipped)])
    if found.parts:
        yield Section("What was looked at", list(_looked_at(found)))
    if found.periods:
        yield Section("Points by period", list(_periods(found)))
    if beside is not None:
        yield against(beside)


def _wrong(found: Verification) -> Iterator[Block]:
    numbers = tuple(sorted(found.kinds.items(), key=lambda item: (-item[1], item[0])))
    told = ", ".join(f"{count:,} {name}" for name, count in numbers)
    yield Kinds("Mismatches by type", f"{amount(found.wrong, 'mismatch')}: {told}.", numbers)
    yield Grid("What each type means", ("type", "mismatches", "meaning"),
               tuple((name, count, MEANING[Kind(name)]) for name, count in numbers))  # fmt: skip
    rows = tuple(map(_mismatch, found.mismatches))
    more = f"; {found.wrong - len(rows):,} more are not shown" if found.wrong > len(rows) else ""
    columns = ("type", "where", "field", "found", "expected", "what heals it")
    yield Grid(f"The first {len(rows):,} of {found.wrong:,}{more}" if more else "Each of them", columns, rows)


def _mismatch(each: Mismatch) -> tuple[str, ...]:
    name = "" if each.id is None else f" {each.id}"
    who = f", user {each.user}" if each.user is not None and str(each.user) not in name else ""
    values = ("" if value is None else str(value) for value in (each.found, each.expected))
    return (each.kind.value, f"{each.subject}{name}{who}", each.field, *values, HEALS[each.heals.value])


def _periods(found: Verification) -> Iterator[Block]:
    if chart := _weeks(found.periods, found.passed):
        yield chart
    newest = sorted(found.periods, key=lambda row: row.period, reverse=True)
    listed = [row for place, row in enumerate(newest) if place < MOST_PERIODS or row.wrong]
    hidden = len(newest) - len(listed)
    caption = "Entries, the events below them, and the sources below those; newest first"
    read = any(row.source_points is not None for row in found.periods)
    sources = ("points of sources",) if read else ()
    yield Grid(
        caption + (f"; {amount(hidden, 'older period')} in which nothing differs not shown" if hidden else ""),
        ("period", "entries", "points", "points of events", *sources, "events", "wrong"),
        tuple(_row(row, read) for row in listed),
        frozenset(place for place, row in enumerate(listed) if row.wrong),
    )


def _row(each: PeriodRow, read: bool) -> tuple[str | int | None, ...]:
    sources = (each.source_points,) if read else ()
    return each.period, each.entries, each.points, each.ledger_points, *sources, each.ledger_events, each.wrong


def _weeks(periods: Sequence[PeriodRow], passed: bool) -> Weeks | None:
    """The finest kind of period that makes a picture: weeks, or what the configuration has in their place."""
    for kind, shape in SHAPES.items():
        rows = sorted((row for row in periods if re.fullmatch(shape, row.period)), key=lambda row: row.period)
        if rows:
            return _chart(kind, rows[-MOST_BARS:], len(rows), passed)
    return None


def _chart(kind: str, rows: Sequence[PeriodRow], total: int, passed: bool) -> Weeks:
    read = any(row.source_points is not None for row in rows)
    line = tuple(row.source_points if read else row.ledger_points for row in rows)
    against = "sources" if read else "events of the ledger (not all sources were read)"
    apart = [row.period for row, value in zip(rows, line, strict=True) if value is not None and value != row.points]
    newest = f"the newest {len(rows):,} of {total:,}" if len(rows) < total else f"{total:,}"
    other = against.partition(" (")[0]
    differ = f"differ in {', '.join(apart[:5])}{' and more' if apart[5:] else ''}" if apart else "are equal in each"
    harmless = LATER if passed and apart else ""
    span = f"{newest} {beside(total, kind)} from {rows[0].period} to {rows[-1].period}"
    told = f"{span}; entries and {other} {differ}.{harmless}"
    labels, bars = tuple(row.period for row in rows), tuple(row.points for row in rows)
    wrong = frozenset(n for n, row in enumerate(rows) if row.wrong or row.points != row.ledger_points)
    return Weeks(f"Points per {kind}", told, labels, bars, line, against, wrong)


def _looked_at(found: Verification) -> Iterator[Block]:
    rows = tuple((part.name, part.checked, part.total, part.unit, part.wrong, part.seconds) for part in found.parts)
    wrong = frozenset(place for place, part in enumerate(found.parts) if part.wrong)
    yield Grid("Parts of the verification", ("part", "checked", "of", "unit", "wrong", "seconds"), rows, wrong)
    if chart := _pace(found.pace):
        yield chart


def _pace(given: Sequence[tuple[float, int]]) -> Pace | None:
    """Documents a second, from how many were read until when; some steps, however many pieces there were."""
    points: list[tuple[float, float]] = []
    since, read = 0.0, 0
    least = given[-1][0] / STEPS if given else 0.0
    for second, documents in given:
        if second - since > least or (second > since and second == given[-1][0]):
            points.append((second, max(documents - read, 0) / (second - since)))
            since, read = second, documents
    if len(points) < 2:
        return None
    seconds, documents = given[-1]
    told = f"{amount(documents, 'document')} in {seconds:,.1f} s, {documents / seconds:,.0f} a second on the whole."
    return Pace("Documents read a second, over the run", told, ((0.0, points[0][1]), *points), "documents")
