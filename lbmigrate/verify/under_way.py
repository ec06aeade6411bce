"""What is under way: an entry that lacks events which came in since the last backfill is none that is wrong.

An app that is not written in Python inserts events, and the next backfill rolls them up. Until then their users'
entries are those of the ledger without them, and no more is asked of such an entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from lbmigrate.ledger import newcomers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.verify.entries import READ, stored
from lbmigrate.verify.expected import Entry, Ledger
from lbmigrate.verify.kinds import Kind
from lbmigrate.verify.result import Mismatch
from lbmigrate.verify.zones import Clocks, by_entries

AT_ONCE = 50  # users, all of whose events are held
LACKING = frozenset({Kind.MISSING, Kind.SCORE, Kind.COUNT, Kind.NEWEST, Kind.STREAK, Kind.REACHED})


def users_of(context: Context, standing: Sequence[Mismatch]) -> dict[str, set[str]]:
    """By the users of whom events are under way the periods of entries that lack nothing else."""
    asked = {exact_text(m.user): m.user for m in standing if m.subject == ENTRIES and m.kind in LACKING}
    found: dict[str, set[str]] = defaultdict(set)
    for some in in_parts(list(asked.values()), AT_ONCE):
        for user, period in _lacking(context, some):
            found[exact_text(user)].add(period)
    return found


def is_under_way(mismatch: Mismatch, coming: dict[str, set[str]]) -> bool:
    """Whether no more is wrong than what is under way; a streak may wait for a day of another period."""
    periods = coming.get(exact_text(mismatch.user), ()) if mismatch.subject == ENTRIES else ()
    if mismatch.kind is Kind.STREAK:
        return bool(periods)
    return mismatch.kind in LACKING and mismatch.period in periods


def _lacking(context: Context, users: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Entries that are what the ledger says without as many of the newest events that came in as they have fewer."""
    entries, _ = stored(context, users)  # before the events, and these before those that are new among them
    rows = lenient(context.target)[EVENTS].find({"userId": {"$in": list(users)}, **COUNTED}, {**READ, "_id": 1})
    events: dict[Any, list[Document]] = defaultdict(list)
    for row in rows:
        events[plain_id(row["userId"])].append(row)
    names = {name: place for place, name in enumerate(newcomers.ids(context, set(events)))}
    for user, theirs in events.items() if names else ():
        clocks = Clocks(context.config, by_entries(context.config, {user: entries.get(user, {})}))
        said = partial(_entries, context, clocks)
        expected = said(theirs)
        coming = sorted((each for each in theirs if each["_id"] in names), key=lambda each: names[each["_id"]])
        for key in said(coming):
            if _has_the_rest(said, key, entries.get(user, {}).get(key), expected[key], theirs, coming):
                yield user, key


def _has_the_rest(
    said: Callable[[Sequence[Document]], dict[str, Entry]],
    period: str,
    row: Document | None,
    expected: Entry,
    theirs: Sequence[Document],
    coming: Sequence[Document],
) -> bool:
    has = _counted(row) if row else 0
    fewer = expected.events - has if isinstance(has, int) else 0
    lacking = [each["_id"] for each in coming if period in said([each])][: max(fewer, 0)]
    if not lacking or len(lacking) != fewer:
        return False
    rest = said([each for each in theirs if each["_id"] not in lacking]).get(period)
    if row is None or rest is None:
        return row is None and rest is None
    return (row.get("score"), _counted(row), row.get("lastEventAt")) == (rest.score, rest.events, rest.last)


def _counted(row: Document) -> Any:
    return row.get("counted", row.get("events"))


def _entries(context: Context, clocks: Clocks, events: Sequence[Document]) -> dict[str, Entry]:
    """What the entries of the one user of these events should say, by period."""
    ledger = Ledger(clocks.of)
    ledger.add(events)
    return next((entries for _, entries in ledger.entries(context.config.periods)), {})
