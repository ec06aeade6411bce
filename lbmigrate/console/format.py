"""Numbers and times as words: what is shown, and what `--json` says. Pure; no terminal needed."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any

from lbmigrate.records import Compared, Copied, Counts, Forgotten, Reconciled, Recounted, Tally
from lbmigrate.telling.foreign import plain


def iso(moment: dt.datetime) -> str:
    """A moment as ISO 8601 in UTC, to the second. Naive moments are UTC, as MongoDB hands them out."""
    naive = moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="seconds") + "Z"


def duration(seconds: float) -> str:
    """A time span to about three digits: `6.2 s`, `3 min 20 s`, `1 h 05 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def countdown(seconds: float) -> str:
    """The time left, rounded up so that it never says 0:00 while something is left: `0:04`, `1:12:04`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def rate(per_second: float) -> str:
    """Units a second, to a tenth where that matters."""
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"


ONE = {"entries": "entry", "indexes": "index", "agree": "agrees", "differ": "differs"}  # what stands beside 1


def counted(number: int, name: str) -> str:
    """A number and what it counts: `2 entries removed`, `1 entry removed`."""
    return f"{number:,} {named(number, name)}"


def named(number: int, name: str) -> str:
    """What a number counts, given as it stands beside 2: `documents`, `agree`, `entries removed`."""
    first, space, rest = name.partition(" ")
    return f"{ONE.get(first, first.removesuffix('s'))}{space}{rest}" if number == 1 else name


def summary(counts: Tally | None) -> str:
    """What was counted, in the words of that kind of work; empty when nothing was. Rare kinds show only when there."""
    return _listed(_named(counts))


def _named(counts: Tally | None) -> dict[str, int]:
    found: dict[str, int] = {}
    match counts:
        case Counts() if counts != Counts():
            rare = {"adjusted": counts.adjusted, "skipped": counts.skipped}
            rare |= {"approximate": counts.approximate, "in the future": counts.future}
            usual = {"read": counts.read, "emitted": counts.emitted, "duplicates": counts.duplicates}
            found = {**usual, "rejected": counts.rejected, **{name: n for name, n in rare.items() if n}}
        case Reconciled():
            found = {"sources read": counts.read, "agree": counts.read - counts.adjusted, "adjusted": counts.adjusted}
        case Recounted():
            usual = {"ranges counted": counts.ranges, "differ": counts.differing}
            again = {"documents read": counts.read, "emitted": counts.emitted, "rejected": counts.rejected}
            found = {**usual, **(again if counts.read else {})}
        case Compared():
            found = {"users": counts.read - counts.documents, "entries compared": counts.entries}
            found |= {"documents of sources": counts.documents} if counts.documents else {}
        case Forgotten():
            found = {"entries removed": counts.entries, "events under a tombstone": counts.events}
        case Copied():
            found = {"documents": counts.read}
    return found


def _listed(counts: Mapping[str, int]) -> str:
    return " · ".join(counted(number, name) for name, number in counts.items())


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return iso(value) if isinstance(value, dt.datetime) else plain(value)


def jsonable(value: Any) -> Any:
    """A record as JSON can say it: records and mappings as objects, moments as ISO, ids and whatever else as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, str | bytes):
        return [jsonable(item) for item in value]
    if isinstance(value, dt.datetime):
        return iso(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
