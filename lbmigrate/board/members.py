"""Entries as sorted sets know them: the member is the user's id as a text, and a version grows with each write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from lbmigrate.board.place import is_whole
from lbmigrate.board.sorted_sets import EXACT, GHOST, Showing, Standing
from lbmigrate.board.ties import number_of
from lbmigrate.records import Document
from lbmigrate.values.id_text import exact_text, plain_text
from lbmigrate.values.ids import parse_id

GONE = "~"  # behind a version: nothing of that entry comes after it


def member_of(user: Any) -> str:
    """How a user is written in a sorted set."""
    return plain_text(user)


def users_of(member: str) -> list[Any]:
    """The ids that a member may stand for."""
    return parse_id(member)


def standing_of(entry: Document) -> Standing:
    """An entry's score and how it is shown, by the snapshot."""
    showing = Showing.HIDDEN if entry.get("optOutSnapshot") else Showing.SHOWN
    return Standing(member_of(entry["userId"]), int(entry["score"]), version_of(entry), showing)


def counted(entry: Document) -> Iterator[Standing]:
    """How an entry stands, and one that cannot be shown as a ghost: whatever has a number for a score counts."""
    if is_whole(entry):
        yield standing_of(entry)
    elif (score := number_of(entry.get("score"))) is not None:
        version, within = version_of(entry), max(-EXACT, min(EXACT, score))
        yield Standing(f"{GHOST}{exact_text(entry['_id'])}", within, version, Showing.HIDDEN)


def gone(entry: Document) -> Standing:
    """What takes the place of an entry that was removed."""
    return Standing(member_of(entry["userId"]), 0, version_of(entry) + GONE, Showing.GONE)


def version_of(entry: Document) -> str:
    """Grows with every write to an entry, and from an entry to one that is made again after it was removed."""
    made = entry.get("createdAt")
    milliseconds = int(made.replace(tzinfo=dt.UTC).timestamp() * 1000) if isinstance(made, dt.datetime) else 0
    rev = entry.get("rev")
    return f"{max(milliseconds, 0):015}.{rev if isinstance(rev, int) and rev > 0 else 0:019}"
