"""The verdict: what a verification came to, and whether the cut-over may go by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from lbmigrate import feature_flag, schema
from lbmigrate.ledger.odd import ROW as ODD_ROW
from lbmigrate.ledger.odd import odd_events
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.schema import ENTRIES, EVENT, EVENTS
from lbmigrate.values.limits import named
from lbmigrate.verify.departed import TOLD, everybody_left

FRESH = dt.timedelta(days=1)
KEPT = 100  # mismatches that a verdict carries


@dataclass(slots=True)
class Wrong:
    """How many mismatches there are, and the first KEPT of them, for there may be as many as events."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, sentences: Iterable[object]) -> None:
        for sentence in sentences:
            self.count += 1
            if len(self.first) < KEPT:
                self.first.append(str(sentence))


def complaints(context: Context) -> list[str]:
    """What is wrong whatever the numbers say: data that would expire, or nothing there where there should be."""
    wrong = schema.expiring(context.target)
    if context.target[EVENTS].find_one(EVENT, {"_id": 1}) is None and not everybody_left(context):
        for source in context.config.sources:
            if context.sources[source.collection].find_one(source.where, {"_id": 1}) is not None:
                wrong.append(f"{EVENTS} is empty, but {source.collection} has documents in scope")
    return wrong


def empty_board(context: Context) -> str:
    """Why nobody would be on the board although the sources hold documents; empty where somebody is, or they do not.

    A source whose documents all miss its `where` is a mistyped filter far more often than an app without a history.
    """
    if context.scope.share < 1 or context.target[EVENTS].find_one(EVENT, {"_id": 1}) is not None:
        return ""
    present = schema.present_collections(context.sources)
    if everybody_left(context):
        return ""
    for source in context.config.sources:
        if source.collection in present and context.sources[source.collection].find_one({}, {"_id": 1}) is not None:
            return f"{EVENTS} is empty, and {source.collection} is not; its documents are to meet {source.where}"
    return ""


def warnings(context: Context) -> list[str]:
    """What is odd and spoils nothing.

    Events that count for nobody and that no reconciliation has seen to; scores that no entry can hold.
    """
    found = odd_events(context.target, kind_of_users(context))
    told = [f"{found}; next: lbmigrate reconcile"] if found.count > context.state.get(ODD_ROW).get("count", 0) else []
    told += [TOLD] if everybody_left(context) else []
    beyond = [{"period": "global", "score": {"$gte": LARGEST_SCORE}}, {"period": "global", "score": -LARGEST_SCORE}]
    entries = [entry for each in beyond for entry in context.target[ENTRIES].find(each, {"userId": 1}).limit(5)]
    told += [f"the points of user {named(e['userId'])} add up to more than a score can hold" for e in entries]
    return told


def verdict(
    options: VerifyOptions, covers: str | None, users: int, entries: int, wrong: Wrong, now: dt.datetime
) -> Document:
    """The verdict's row in the state."""
    return {
        "passed": not wrong.count,
        "covers": covers,
        "at": now,
        "users": users,
        "entries": entries,
        "mismatches": wrong.count,
        "first": wrong.first,
        "options": asdict(options),
    }


def is_current(context: Context) -> bool:
    """Whether a passing verdict vouches for everything emitted so far, and is fresh where the cut-over waits for it."""
    row, covers = context.state.get("verdict"), context.state.last_emission()
    if feature_flag.read(context.target, context.config).read:
        return bool(row.get("passed")) and row.get("covers") == covers
    return not objection(row, covers, context.clock())


def objection(row: Document, covers: str | None, now: dt.datetime) -> str:
    """Why a verdict does not allow the cut-over; empty when it does."""
    if not row:
        return "nothing was verified yet"
    if not row["passed"]:
        return f"the last one, {row['at'].isoformat(timespec='seconds')}Z, found {row['mismatches']} mismatches"
    if row["covers"] != covers:
        return "events were added since the last one"
    if now - row["at"] > FRESH:
        return f"the last one is from {row['at'].isoformat(timespec='seconds')}Z, more than a day ago"
    return ""
