"""How far a source was read, and whether that still holds: a watermark belongs to the rules by which it was read.

Under other rules a source is read again from its beginning. That costs time and nothing else, for an event that is
there already stays as it is; going on from the watermark would silently leave out what the new rules take in.
Where all that was read was scored, rules that only say how it is scored leave nothing out: a reconciliation is enough.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from lbmigrate.config.digest import WHICH, reading_rules
from lbmigrate.config.model import Source
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.scored_by import are_those_of_the_ledger
from lbmigrate.records import Document
from lbmigrate.run.context import Context

SETTLE = "lbmigrate backfill"  # reads what is to be read again


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to when a source was read by the rules in force; None where all of it is to be read, and why if anew."""

    value: dt.datetime | None
    why: str = ""


def mark(context: Context, source: Source) -> Mark:
    """The watermark of a source, if it holds."""
    row = context.state.watermark(source.name)
    if row.get("value") is None:
        return Mark(None)
    why = outdated(context, source, row)
    return Mark(None, why) if why else Mark(row["value"])


def rules_of(context: Context, source: Source) -> Document:
    """What a pass, and then the watermark, remembers of the rules that it reads by."""
    here = beginning(context)
    return {"rules": reading_rules(context.config, source), "start": here.at if here else None}


def outdated(context: Context, source: Source, kept: Mapping[str, object]) -> str:
    """Why what `rules_of` gave then holds no more, in half a sentence; empty where it does."""
    now, then = rules_of(context, source), kept.get("rules")
    if not isinstance(then, dict):  # an earlier version kept nothing of the kind
        return "" if are_those_of_the_ledger(context) else "its rules may have changed since it was read"
    start = kept.get("start")
    changed = [name for name, digest in now["rules"].items() if then.get(name, digest) != digest]
    if WHICH & set(changed) or (changed and (start or _has_rejects(context, source))):
        named = " and ".join(f"`{name}`" for name in changed)
        return f"its {named} {'has' if len(changed) == 1 else 'have'} changed since it was read"
    if isinstance(start, dt.datetime) and (now["start"] is None or now["start"] < start):
        return f"actions from before {start:%Y-%m-%d} are to be counted as well"
    return ""


def _has_rejects(context: Context, source: Source) -> bool:
    """Whether there are documents that could not be scored: other rules may make events of them.

    Of those that could there are events, and what these should be by now a reconciliation sees to.
    """
    return next(context.state.chunks(source=source.name, **{"counts.rejected": {"$gt": 0}}), None) is not None


def to_be_read_again(context: Context) -> list[str]:
    """The sources that were read by other rules than those in force, each with the reason."""
    marks = ((source.name, mark(context, source).why) for source in context.config.sources)
    return [f"{name}: {why}" for name, why in marks if why]


def unread(context: Context) -> list[str]:
    """The sources whose history is not, or not to its end, in the ledger by the rules in force, each with the reason.

    One that was only asked for in part, with bounds, is not among them: that is what was wanted.
    """
    told = ((source.name, _unread(context, source)) for source in context.config.sources)
    return [f"{name}: {why}" for name, why in told if why]


def _unread(context: Context, source: Source) -> str:
    found = mark(context, source)
    if found.why or found.value is not None:
        return found.why
    if "pass" in context.state.watermark(source.name):
        return "only a part of it is read yet"
    return "" if context.state.watermark(f"{source.name}:bounded") else "it is not read yet"
