"""What entries show of their users against the users' own documents, which may have changed since: told, not judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lbmigrate.board.profiles import profiles_of
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user

SHOWN = ("optOutSnapshot", "displayNameSnapshot", "avatarSnapshot")


def outdated(context: Context, users: Sequence[Any]) -> str:
    """How many of these users are shown otherwise than their documents say; empty for none."""
    number = 0
    for some in in_parts(users, 200):
        if context.stopping():
            return ""
        number += len(_outdated(context, some))
    if not number:
        return ""
    have = "is" if number == 1 else "are"
    who = f"{amount(number, 'user')} {have} shown with a name, a picture or a wish that their own documents do not have"
    return f"{who}; next: lbmigrate backfill --full"


def _outdated(context: Context, users: Sequence[Any]) -> set[Any]:
    asked = {"userId": {"$in": list(users)}, "rev": {"$exists": True}}
    entries = lenient(context.target)[ENTRIES].find(asked, dict.fromkeys(("userId", *SHOWN), 1))
    profiles = profiles_of(context.sources, context.config, users)
    theirs = ((plain_id(entry["userId"]), entry) for entry in entries if names_a_user(entry.get("userId")))
    return {user for user, entry in theirs if user in profiles and _differs(entry, profiles[user])}


def _differs(entry: Document, profile: Document) -> bool:
    return any(entry.get(name) != profile[name] for name in SHOWN)
