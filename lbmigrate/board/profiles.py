"""What the board shows of a user: name, avatar, whether the user wants to be seen, and whose days these are."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pymongo.database import Database

from lbmigrate.board.visibility import LOOKED_AT, is_anonymous, is_hidden, visibility_paths, wishes_to_leave
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, NAME_LENGTH, Document
from lbmigrate.values.ids import ONE_REPLY, exact_key, folded_id, id_forms, in_parts
from lbmigrate.values.paths import projection_of, value_at
from lbmigrate.values.zones import zone_named

if TYPE_CHECKING:
    from lbmigrate.config.model import Config
    from lbmigrate.config.users import Users


_EMAIL = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]")
Wish = Document  # `key`, and whether it `leaves`
ZONE = "timezoneSnapshot"  # of an entry: the zone by which it was computed, null for that of everybody
NOTHING: Document = {"displayNameSnapshot": None, "avatarSnapshot": None}


def known_users(database: Database[Any], config: Config, users: Sequence[Any]) -> set[Any]:
    """Those of `users` who are in the users collection, under either form of their id."""
    keys = [form for user in users for form in id_forms(user)]
    found = {folded_id(each["key"]) for each in _find(database, config.users, keys)}
    return {user for user in users if folded_id(user) in found}


def profiles_of(
    database: Database[Any], config: Config, users: Sequence[Any], found: Iterable[Document] | None = None
) -> dict[Any, Document]:
    """The snapshot fields of each of `users`; what those get who are not in the collection says `users.missing`.

    Where no document has the very id, one that has it in another form counts: an ObjectId for its 24 digits, in either
    case, or the other way round. Of several documents under one key the strictest counts. `found` is what `of_document`
    made of all documents of the very ids, by whoever has read them.
    """
    own = _own_profiles(database, config, users, _find(database, config.users, users) if found is None else found)
    return with_wishes(config.users, own, _wishes(database, config.users, users))


def _own_profiles(
    database: Database[Any], config: Config, users: Sequence[Any], exactly: Iterable[Document]
) -> dict[Any, Document]:
    """What the users' own documents say. Other forms of an id are asked for only where nobody has the very id."""
    found = list(exactly)
    there = {exact_key(each["key"]) for each in found}
    absent = [form for user in users if exact_key(user) not in there for form in id_forms(user)]
    return _own(config.users, users, [*found, *_find(database, config.users, absent)])


def forms_of(users: Sequence[Any]) -> list[Any]:
    """Every id under which the users collection may have one of `users`."""
    return list({exact_key(form): form for user in users for form in (user, *id_forms(user))}.values())


def of_document(users: Users, document: Document) -> Document:
    """Whose document it is and what is shown of that user: what `profiles_from` needs, and however large it is."""
    key = value_at(document, users.key)
    return {"key": key, "shown": snapshot(users, document), "anonymous": is_anonymous(users, document)}


def profiles_from(
    users: Users, ids: Sequence[Any], found: Sequence[Document], wishes: Sequence[Wish] = ()
) -> dict[Any, Document]:
    """`profiles_of` from what `of_document` made of the documents of any of `forms_of(ids)`, and `of_setting`."""
    return with_wishes(users, _own(users, ids, found), wishes)


def _own(users: Users, ids: Sequence[Any], found: Sequence[Document]) -> dict[Any, Document]:
    """What documents say of each user: one with the very id, or with another form of it, or what nobody's says."""
    exact = _by_key(found, exact_key)
    own = {user: exact[key] for user in ids if (key := exact_key(user)) in exact}
    if absent := [user for user in ids if user not in own]:
        other, nobody = _by_key(found, folded_id), of_nobody(users)
        own |= {user: other.get(folded_id(user), nobody) for user in absent}
    return own


def of_setting(users: Users, document: Document) -> Wish:
    """Whose setting it is, and whether it takes that user off the board."""
    key = value_at(document, users.settings.key) if users.settings else None
    return {"key": key, "leaves": wishes_to_leave(users.opt_out, document)}


def settings_asked(users: Users, ids: Sequence[Any]) -> tuple[Document, Document]:
    """The condition for the settings of some users, and what is read of them; only where there are settings."""
    kept = users.settings
    if kept is None or users.opt_out is None:
        return {}, {}
    return {kept.key: {"$in": ids}, **kept.where}, projection_of([kept.key, users.opt_out.path])


def with_wishes(users: Users, own: dict[Any, Document], wishes: Iterable[Wish]) -> dict[Any, Document]:
    """Profiles with what the settings say of them. One setting that says no is enough, under any form of the id."""
    if users.settings is None or users.opt_out is None:
        return own
    said: dict[str, bool] = {}
    for wish in wishes:
        name = folded_id(wish["key"])
        said[name] = said.get(name, False) or wish["leaves"]
    silent = users.opt_out.missing
    return {
        user: {**shown, "optOutSnapshot": shown["optOutSnapshot"] or said.get(folded_id(user), silent)}
        for user, shown in own.items()
    }


def _wishes(database: Database[Any], users: Users, ids: Sequence[Any]) -> Iterator[Wish]:
    for some in in_parts(forms_of(ids)) if users.settings else ():
        condition, shown = settings_asked(users, some)
        rows = lenient(database)[users.settings.collection].find(condition, shown) if users.settings else ()
        yield from (of_setting(users, row) for row in rows)


def _find(database: Database[Any], users: Users, keys: Sequence[Any]) -> Iterator[Document]:
    """What is shown of the users with these keys. Documents may be large: no more than a batch is held."""
    for some in in_parts(keys):
        asked = {users.key: {"$in": some}}, what_is_read(users)
        for document in lenient(database)[users.collection].find(*asked, batch_size=ONE_REPLY):
            yield of_document(users, document)


def _by_key(found: Iterable[Document], named: Callable[[Any], Hashable]) -> dict[Hashable, Document]:
    """What is shown under each key, by its name."""
    strictest: dict[Hashable, Document] = {}
    for each in found:
        name = named(each["key"])
        strictest[name] = _stricter(strictest[name], each) if name in strictest else each
    return {name: each["shown"] for name, each in strictest.items()}


def _stricter(one: Document, other: Document) -> Document:
    """Of two documents under one key: hidden if either says so, and nameless; in whatever order they are read.

    Of two zones it is the first in the order of names.
    """
    first = min((one, other), key=lambda each: [(text is None, text or "") for text in _texts(each["shown"])])
    anonymous = one["anonymous"] or other["anonymous"]
    hidden = one["shown"]["optOutSnapshot"] or other["shown"]["optOutSnapshot"]
    shown = {**first["shown"], **(NOTHING if anonymous else {}), "optOutSnapshot": hidden}
    if ZONE in shown:
        shown[ZONE] = min((zone for each in (one, other) if (zone := each["shown"][ZONE])), default=None)
    return {**first, "anonymous": anonymous, "shown": shown}


def _texts(shown: Document) -> list[str | None]:
    return [shown["displayNameSnapshot"], shown["avatarSnapshot"]]


def what_is_read(users: Users) -> Document:
    """The projection of a user document: what the board needs, and what says whose days these are."""
    return projection_of([*profile_paths(users), *([users.timezone] if users.timezone else [])])


def profile_paths(users: Users) -> tuple[str, ...]:
    """Every path of a user document that the board needs."""
    return (users.key, *users.display_name, *users.avatar, *visibility_paths(users))


def of_nobody(users: Users) -> Document:
    """The snapshot fields of those whose document is not there."""
    if users.missing in ("hide", "anonymous"):
        return {"optOutSnapshot": users.missing == "hide", **NOTHING, **_zone(users, {})}
    return snapshot(users, {})


def snapshot(users: Users, document: Document) -> Document:
    """The snapshot fields of an entry: three, and the zone of the user where users have zones of their own."""
    hidden, zone = is_hidden(users, document), _zone(users, document)
    if users.anonymous and is_anonymous(users, document):
        return {"optOutSnapshot": hidden, **NOTHING, **zone}
    return {
        "optOutSnapshot": hidden,
        "displayNameSnapshot": _first_name(value_at(document, path) for path in users.display_name),
        "avatarSnapshot": next((v for path in users.avatar if is_avatar(v := value_at(document, path))), None),
        **zone,
    }


def copied(users: Users) -> tuple[str, ...]:
    """The fields of an entry that are copies from the user's document."""
    return ("optOutSnapshot", *NOTHING, *([ZONE] if users.timezone else []))


def _zone(users: Users, document: Document) -> Document:
    return {ZONE: zone_named(value_at(document, users.timezone))} if users.timezone else {}


def is_avatar(value: Any) -> bool:
    """Whether a value can be shown: every entry of a user copies it, so pictures themselves are left out."""
    return isinstance(value, str) and 0 < len(value) <= AVATAR_LENGTH


def _first_name(values: Iterable[Any]) -> str | None:
    for value in values:
        name = value[:LOOKED_AT].strip() if isinstance(value, str) else ""
        if name and not _EMAIL.search(name):  # a display name is never an e-mail address
            return name[:NAME_LENGTH]
    return None
