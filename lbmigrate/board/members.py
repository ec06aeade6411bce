"""Entries as sorted sets know them: members that stand in the order of the board, versions that grow with each write.

Within one score a sorted set orders its members as text, and the board its users as the server orders ids. Both are
one order for ObjectIds, UUIDs and strings as they are written; a number is written so that it is: `+` or `-`, then 20
digits, which are those of 2^63 more than the number where it is negative.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from lbmigrate.board.sorted_sets import Showing, Standing
from lbmigrate.records import Document
from lbmigrate.values.id_text import plain_text, whole_number
from lbmigrate.values.ids import parse_id

GONE = "~"  # behind a version: nothing of that entry comes after it
DIGITS, LOWEST = 20, 2**63


def member_of(user: Any) -> str:
    """How a user is written in a sorted set."""
    number = whole_number(user)
    if number is None:
        return plain_text(user)
    return f"+{number:0{DIGITS}}" if number >= 0 else f"-{number + LOWEST:0{DIGITS}}"


def users_of(member: str) -> list[Any]:
    """The ids that a member may stand for."""
    if len(member) == DIGITS + 1 and member[0] in "+-" and member[1:].isdecimal():
        return [int(member[1:]) - (LOWEST if member[0] == "-" else 0), member]
    return parse_id(member)


def standing_of(entry: Document) -> Standing:
    """An entry's score and how it is shown, by the snapshot."""
    showing = Showing.HIDDEN if entry.get("optOutSnapshot") else Showing.SHOWN
    return Standing(member_of(entry["userId"]), int(entry["score"]), version_of(entry), showing)


def gone(entry: Document) -> Standing:
    """What takes the place of an entry that was removed."""
    return Standing(member_of(entry["userId"]), 0, version_of(entry) + GONE, Showing.GONE)


def version_of(entry: Document) -> str:
    """Grows with every write to an entry, and from an entry to one that is made anew after it was removed."""
    made = entry.get("createdAt")
    milliseconds = int(made.replace(tzinfo=dt.UTC).timestamp() * 1000) if isinstance(made, dt.datetime) else 0
    rev = entry.get("rev")
    return f"{max(milliseconds, 0):015}.{rev if isinstance(rev, int) and rev > 0 else 0:019}"
