"""What entries should show of users, read from their documents a second time; shares no code with who writes it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lbmigrate.config.model import Users
from lbmigrate.records import AVATAR_LENGTH, NAME_LENGTH, Document
from lbmigrate.run.context import Context
from lbmigrate.values.ids import folded_id, id_forms, in_parts
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.values import getter

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
LOOKED_AT = NAME_LENGTH + 320  # characters of a text
NAME, AVATAR, OPT_OUT = "displayNameSnapshot", "avatarSnapshot", "optOutSnapshot"
_address = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]").search
TELLS = "tells when it changed"
PROFILES = "profiles"  # the row that says up to when changes of users are in the entries


def shown(context: Context, users: Sequence[Any]) -> Mapping[Any, Document]:
    """The snapshots of those users who have a document that the entries are to show by now.

    With TELLS they say whether the document tells when it changed: without that it may have changed just now.
    """
    rules = context.config.users
    take = getter(rules.key)
    paths = projection_of([rules.key, *rules.display_name, *rules.avatar, *_more(rules)])
    forms = [form for user in users for form in id_forms(user)]
    by_id: dict[Any, Document] = {}
    for some in in_parts(forms):
        for document in context.sources[rules.collection].find({rules.key: {"$in": some}}, paths):
            by_id.setdefault(folded_id(take(document)), document)
            if type(take(document)) is not str:
                by_id[folded_id(take(document))] = document
    reached = context.state.get(PROFILES).get("value")
    found = {user: by_id.get(folded_id(user)) for user in users}
    return {
        user: _snapshot(rules, each) | {TELLS: _changed(rules, each) is not None}
        for user, each in found.items()
        if each and not _is_newer(_changed(rules, each), reached)
    }


def _more(rules: Users) -> list[str]:
    return [path for path in (rules.updated, rules.opt_out.path if rules.opt_out else None) if path]


def _changed(rules: Users, document: Document) -> dt.datetime | None:
    at = getter(rules.updated)(document) if rules.updated else None
    return at if isinstance(at, dt.datetime) else None


def _is_newer(changed: dt.datetime | None, reached: dt.datetime | None) -> bool:
    """Whether a user changed after the last look at users: the next backfill brings that into the entries."""
    return changed is not None and reached is not None and changed >= reached


def _snapshot(rules: Users, document: Document) -> Document:
    avatars = (getter(path)(document) for path in rules.avatar)
    picture = next((each for each in avatars if isinstance(each, str) and 0 < len(each) <= AVATAR_LENGTH), None)
    return {OPT_OUT: _is_out(rules, document), NAME: _name(rules, document), AVATAR: picture}


def _name(rules: Users, document: Document) -> str | None:
    for path in rules.display_name:
        value = getter(path)(document)
        name = value[:LOOKED_AT].strip() if isinstance(value, str) else ""
        if name and not _address(name):
            return name[:NAME_LENGTH]
    return None


def _is_out(rules: Users, document: Document) -> bool:
    if rules.opt_out is None:
        return False
    value = getter(rules.opt_out.path)(document)
    if value is None:
        return rules.opt_out.missing
    said = value[:LOOKED_AT].strip().lower() in TRUE_WORDS if isinstance(value, str) else bool(value)
    return said != rules.opt_out.negate
