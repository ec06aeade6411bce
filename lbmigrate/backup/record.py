"""How a database is backed up, on record: nothing starts without."""

from __future__ import annotations

import datetime as dt

from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.state import State
from lbmigrate.state.operator import operator

ROW = "backup"
KEPT = 50  # backups that are remembered by name
HINT = 'lbmigrate backup, or name yours: lbmigrate run --backup-ref "NAME", or go without: lbmigrate run --no-backup'


def record(state: State, how: str, ref: str, at: dt.datetime, digest: str = "") -> None:
    """Remember how this database is backed up: `lbmigrate` (`ref` its directory), `reference` or `none`.

    Needs no lease. Raises Refused when a newer version wrote the state.
    """
    state.check_layout()
    made = [*earlier(state), *([ref] if ref else [])]
    state.note(ROW, how=how, ref=ref, by=operator(), at=at, digest=digest, made=list(dict.fromkeys(made))[-KEPT:])


def record_part(state: State, how: str, ref: str, at: dt.datetime, digest: str = "") -> None:
    """Remember a backup of some collections alone: whoever is forgotten may be in it. Raises as `record` does."""
    state.check_layout()
    state.note(ROW, made=list(dict.fromkeys([*earlier(state), ref]))[-KEPT:])


def earlier(state: State) -> list[str]:
    """What was named as a backup until now: directories and references, the oldest first, the last KEPT of them."""
    row = state.get(ROW)
    return list(row.get("made") or filter(None, [row.get("ref")]))


def evidence(context: Context) -> Document | None:
    """What is on record: {how, ref, by, at, digest}; None when nothing is."""
    row = context.state.get(ROW)
    return row if "how" in row else None


def objection(context: Context, embedded: bool = False) -> str:
    """Why a run may not start, empty when it may; HINT is the way out. An `embedded` server's data needs no backup."""
    if embedded or evidence(context):
        return ""
    return f"no backup is on record for database {context.target.name}"
