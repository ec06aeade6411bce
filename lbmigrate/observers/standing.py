"""How everything stands, as figures that an alert can go by."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from lbmigrate.migration.status import Status

GaugeOf = Callable[..., Any]


def set_standing(gauge: GaugeOf, found: Status) -> None:
    """Set what is known: nothing is said of a verdict, a tail or a board that is not there."""
    gauge("events", "Events in the ledger.").set(found.events)
    gauge("entries", "Entries of the leaderboard.").set(found.entries)
    gauge("rejects", "Documents that could not be scored and are still there.").set(found.rejects)
    gauge("apart", "1 when the state and the ledger do not belong together any more.").set(int(found.apart is not None))
    _sources(gauge, found)
    if verdict := found.verdict:
        gauge("verdict_passed", "1 when the last verification found nothing wrong.").set(int(verdict["passed"]))
        gauge("verdict_mismatches", "What the last verification found.").set(verdict["mismatches"])
        gauge("verdict_timestamp_seconds", "When it was made.").set(_seconds(verdict["at"]))
        gauge("verdict_age_seconds", "How old it was when this was written.").set(found.verdict_age or 0.0)
    if tail := found.tail:
        gauge("tail_lag_seconds", "How far behind the tail was at its last report.").set(tail.get("lag") or 0.0)
        gauge("tail_following", "1 while a tail follows.").set(int(tail["following"]))
        if "at" in tail:
            gauge("tail_heartbeat_timestamp_seconds", "Its last report.").set(_seconds(tail["at"]))
    if boards := found.boards:
        since = boards.get("since") if boards.get("stale") else None
        gauge("boards_stale", "1 while the boards in Redis are out of date.").set(int(bool(boards.get("stale"))))
        stale = (found.now - since).total_seconds() if since else 0.0
        gauge("boards_stale_seconds", "For how long they were when this was written.").set(stale)


def _sources(gauge: GaugeOf, found: Status) -> None:
    for source in found.sources:
        if source.fresh_at is None:
            continue
        read = "Up to when all that changed in a source was on the board."
        gauge("source_read_timestamp_seconds", read, source=source.name).set(_seconds(source.fresh_at))
        age = "How long before this was written a source was read to its end."
        gauge("watermark_age_seconds", age, source=source.name).set(source.age)


def _seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()
