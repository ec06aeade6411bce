"""What entries should show of users, read from their documents a second time; shares no code with who writes it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lbmigrate.config.users import Users
from lbmigrate.records import AVATAR_LENGTH, NAME_LENGTH, Document
from lbmigrate.run.context import Context
from lbmigrate.values.ids import folded_id, id_forms, in_parts
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.values import Getter, getter
from lbmigrate.verify.visible import is_nameless, is_out, out_by_settings, paths
from lbmigrate.verify.zone_names import zone_named

LOOKED_AT = NAME_LENGTH + 320  # characters of a text
NAME, AVATAR, OPT_OUT = "displayNameSnapshot", "avatarSnapshot", "optOutSnapshot"
ZONE = "timezoneSnapshot"
_address = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]").search
TELLS = "tells when it changed"
PROFILES = "profiles"  # the row that says up to when changes of users are in the entries


def shown(context: Context, users: Sequence[Any]) -> Mapping[Any, Document | None]:
    """The snapshots of those users who have a document; None where the entries need not show it yet.

    With TELLS they say whether the document tells when it changed: without that it may have changed just now. So may
    one that is gone; of users without a document only what `users.missing` says is known, where that is set.
    """
    rules = context.config.users
    take = getter(rules.key)
    fields = projection_of([rules.key, *rules.display_name, *rules.avatar, *_more(rules)])
    forms = [form for user in users for form in id_forms(user)]
    by_id: dict[str, list[Document]] = {}
    for some in in_parts(forms):
        for document in context.sources[rules.collection].find({rules.key: {"$in": some}}, fields):
            _keep(by_id.setdefault(folded_id(take(document)), []), document, take)
    wishes = out_by_settings(context, users)
    reached = context.state.get(PROFILES).get("value")
    found = {user: by_id.get(folded_id(user)) for user in users}
    nobody = {user: _of_nobody(rules, wishes.get(folded_id(user))) for user, some in found.items() if not some}
    return (nobody if rules.missing else {}) | {
        user: None
        if any(_is_newer(_changed(rules, each), reached) for each in some)
        else _strictest(rules, some, wishes.get(folded_id(user)))
        | {TELLS: all(_changed(rules, each) is not None for each in some)}
        for user, some in found.items()
        if some
    }


def zones(context: Context, users: Sequence[Any]) -> dict[Any, str]:
    """The zones of users by their documents as they are now, of those who have one; nobody is read for nothing."""
    rules = context.config.users
    if not rules.timezone:
        return {}
    take, found = getter(rules.key), dict[str, list[Document]]()
    fields = projection_of([rules.key, rules.timezone])
    for some in in_parts([form for user in users for form in id_forms(user)]):
        for document in context.sources[rules.collection].find({rules.key: {"$in": some}}, fields):
            _keep(found.setdefault(folded_id(take(document)), []), document, take)
    named = {user: _zone(rules, found.get(folded_id(user), []))[ZONE] for user in users}
    return {user: zone for user, zone in named.items() if zone}


def _keep(some: list[Document], document: Document, take: Getter) -> None:
    """Among documents under one id; one whose id is no text goes before those with its digits."""
    if some and type(take(document)) is not str and type(take(some[0])) is str:
        some.clear()
    if not some or type(take(document)) is not str or type(take(some[0])) is str:
        some.append(document)


def _more(rules: Users) -> list[str]:
    return [*(path for path in (rules.updated, rules.timezone) if path), *paths(rules)]


def _changed(rules: Users, document: Document) -> dt.datetime | None:
    at = getter(rules.updated)(document) if rules.updated else None
    return at if isinstance(at, dt.datetime) else None


def _is_newer(changed: dt.datetime | None, reached: dt.datetime | None) -> bool:
    """Whether a user changed after the last look at users: the next backfill brings that into the entries."""
    return changed is not None and reached is not None and changed >= reached


def _strictest(rules: Users, documents: Sequence[Document], wish: bool | None) -> Document:
    """What is shown of a user with these documents: hidden, or nameless, if one of them says so."""
    each = [_snapshot(rules, document) for document in documents]
    first = min(each, key=lambda one: [(one[name] is None, one[name] or "") for name in (NAME, AVATAR)])
    nameless = any(is_nameless(rules, document) for document in documents)
    out = any(one[OPT_OUT] for one in each) or _leaves(rules, wish)
    return {**first, **(dict.fromkeys((NAME, AVATAR)) if nameless else {}), OPT_OUT: out, **_zone(rules, documents)}


def _zone(rules: Users, documents: Sequence[Document]) -> dict[str, str | None]:
    """The zone of a user with these documents, where there are any; of several the first in the order of names."""
    if rules.timezone is None:
        return {}
    named = (zone_named(getter(rules.timezone)(document)) for document in documents)
    return {ZONE: min((zone for zone in named if zone), default=None)}


def _of_nobody(rules: Users, wish: bool | None) -> Document:
    """What is shown of a user without a document; nothing tells since when there is none."""
    if rules.missing == "show":
        return _strictest(rules, [{}], wish) | {TELLS: False}
    out = rules.missing == "hide" or _leaves(rules, wish)
    return {NAME: None, AVATAR: None, OPT_OUT: out, **_zone(rules, []), TELLS: False}


def _leaves(rules: Users, wish: bool | None) -> bool:
    """Whether a wish that is kept apart from the users, or that there is none, takes the user off the board."""
    apart = rules.opt_out is not None and rules.opt_out.settings is not None
    return bool(wish) or (apart and wish is None and rules.opt_out is not None and rules.opt_out.missing)


def _snapshot(rules: Users, document: Document) -> Document:
    avatars = (getter(path)(document) for path in rules.avatar)
    picture = next((each for each in avatars if isinstance(each, str) and 0 < len(each) <= AVATAR_LENGTH), None)
    return {OPT_OUT: is_out(rules, document), NAME: _name(rules, document), AVATAR: picture}


def _name(rules: Users, document: Document) -> str | None:
    for path in rules.display_name:
        value = getter(path)(document)
        name = value[:LOOKED_AT].strip() if isinstance(value, str) else ""
        if name and not _address(name):
            return name[:NAME_LENGTH]
    return None
