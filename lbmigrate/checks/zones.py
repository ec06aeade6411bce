"""Whether users have time zones of their own that somebody knows, and whether it is noticed who moves to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.checks.finding import Finding
from lbmigrate.ledger.zone_count import counted, of_values
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.values.paths import pluck


def findings(context: Context, rows: Sequence[Document], bounded: bool) -> Iterator[Finding]:
    """What the zones of users come to; with `bounded` no more than `rows` are looked at."""
    users = context.config.users
    if users.timezone is None:
        return
    looked_at = of_values((value, 1) for value in pluck(rows, [users.timezone])[users.timezone])
    found = looked_at if bounded else counted(context) or looked_at
    told = found.told(context.config) or f"each of {amount(found.users, 'user')} has a time zone of their own"
    if found.unknown:
        fix = f"IANA names such as Europe/Paris and offsets such as +05:45 are known: correct {users.timezone}"
        yield Finding("warning", "time zones", told, fix)
    else:
        yield Finding("ok", "time zones", told)
    if users.updated is None:
        fact = "users.updated is not set: who moves to another time zone is noticed with the next action of theirs"
        yield Finding("warning", "time zones", fact, "set users.updated, or schedule lbmigrate backfill --full")
