"""Why a user's score is what it is. Only looks: nothing is written, and nothing is taken from the code that scores."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

from lbmigrate.board.board import Board
from lbmigrate.board.profiles import ZONE, known_users, profiles_of
from lbmigrate.config.model import Config
from lbmigrate.errors import UsageError
from lbmigrate.explain import ledger as events
from lbmigrate.explain.differences import Differences
from lbmigrate.explain.documents import Documents
from lbmigrate.explain.explanation import Entry, Explanation, Standing
from lbmigrate.explain.ledger import Calendar
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.passes.beginning import beginning
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, PERIODS, REACHED
from lbmigrate.schema.layout import entries_of
from lbmigrate.state import layouts
from lbmigrate.values.ids import id_forms
from lbmigrate.values.limits import short

SHOWN = 10  # of each list, where nobody says how many


def explain(context: Context, user: str, period: str = "global", most: int = SHOWN) -> Explanation:
    """Put the entry, the ledger and the sources of a user side by side.

    `user` is an id as it is written, in any of its forms; `most` bounds each list. Of somebody who was forgotten no
    more is told than that, when, and how many documents the sources still have. Raises UsageError for a user whom
    nobody knows, and for what names no period.
    """
    check_period(context.config, period)
    forms, leavers = id_forms(user), Leavers(context.state)
    calendar = Calendar(context.config, period, _zone(context, forms))
    documents = Documents(context, forms, calendar, most)
    if user in leavers:
        left, still = leavers.left_at(user), tuple(documents.count())
        return Explanation(user, period, Standing.LEFT, left_at=left, sources=still)
    row = _row_of(context, forms, period)
    known = bool(known_users(context.sources, context.config, [user]))
    found = events.read(context, forms, calendar, most)
    several = found.worth is None or bool(found.worth)
    told = documents.read(found.worth)
    if not (row or known or several or told.known):
        raise UsageError(f"nobody has the id {user!r}", hint="lbmigrate top --json shows ids")
    differing = Differences(context, user, period, calendar, found, told, row)
    differences = differing.found(most)
    hidden = _hides(context, forms, row)
    return Explanation(
        user=user,
        period=period,
        standing=Standing.ABSENT if row is None else Standing.HIDDEN if hidden else Standing.SHOWN,
        known=known,
        entry=_entry(context, row, hidden),
        events=found.total.events,
        points=found.total.points,
        actions=found.by_action(),
        days=found.by_day(most),
        days_total=len(found.days),
        last=tuple(found.last),
        reasons=found.by_reason(),
        adjustments=tuple(found.adjustments),
        rejects=tuple(told.rejects),
        rejects_total=told.rejects_total,
        duplicates=tuple(told.duplicates),
        duplicates_total=told.duplicates_total,
        sources=tuple(told.sources),
        compared=found.worth is not None,
        differences=differences,
        differences_total=differing.total,
        notes=tuple(_notes(context, forms, known, told.sources, calendar)),
    )


def check_period(config: Config, period: str) -> None:
    """Raise UsageError for what is no period of this board."""
    formats = [PERIODS[kind] for kind in config.periods]
    if not any(re.fullmatch(_pattern(each), period) for each in formats):
        examples = ", ".join(dt.date(2025, 11, 4).strftime(each) for each in formats)
        raise UsageError(f"{period!r} names no period of this board", hint=f"name one, such as: {examples}")


def _pattern(format_: str) -> str:
    return re.sub("%.", lambda found: "[0-9]{4}" if found[0] in ("%Y", "%G") else "[0-9]{2}", format_)


def _row_of(context: Context, forms: Sequence[Any], period: str) -> Document | None:
    asked = {"userId": {"$in": list(forms)}, "period": period}
    return entries_of(lenient(context.target), layouts.layout(context.state), period).find_one(asked, {"createdAt": 0})


def _hides(context: Context, forms: Sequence[Any], row: Document | None) -> bool:
    """Whether the user has opted out: by the entry, or since then by the user's own document."""
    if row is None:
        return False
    user = row["userId"]
    return bool(
        row.get("optOutSnapshot") or profiles_of(context.sources, context.config, [user])[user]["optOutSnapshot"]
    )


def _entry(context: Context, row: Document | None, hidden: bool) -> Entry | None:
    if row is None:
        return None
    place = None if hidden else Board(context.target, context.config).rank(row["userId"], row["period"])
    return Entry(
        score=_whole(row.get("score")),
        events=_whole(row.get("events")),
        streak=_whole(row.get("streak")),
        last_event=_moment(row.get("lastEventAt")),
        updated=_moment(row.get("lastUpdated")),
        name=short(name) if isinstance(name := row.get("displayNameSnapshot"), str) else None,
        rank=place.rank if place else None,
        reached=_moment(row.get(REACHED)),
    )


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0


def _moment(value: Any) -> dt.datetime | None:
    return value if isinstance(value, dt.datetime) else None


def _zone(context: Context, forms: Sequence[Any]) -> str | None:
    """The zone of the user's own clocks; None where they are those of everybody."""
    if not context.config.users.timezone:
        return None
    found = profiles_of(context.sources, context.config, forms)
    return next((zone for each in found.values() if (zone := each[ZONE])), None)


def _notes(
    context: Context, forms: Sequence[Any], known: bool, sources: Sequence[Any], calendar: Calendar
) -> Sequence[str]:
    """What else an answer to this user may have to say."""
    here, odd = beginning(context), events.uncounted(context, forms)
    told = [] if known else [f"no document of {context.config.users.collection} has this id"]
    told += [f"days are those of {calendar.zone}"] if context.config.users.timezone else []
    told += [f"{here}"] if here and any(each.too_early for each in sources) else []
    return [*told, f"{amount(odd, 'event')} of {EVENTS} name this user and count for nobody"] if odd else told
