"""What the board shows of a user: name, avatar, and whether the user wants to be seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pymongo.database import Database

from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, NAME_LENGTH, Document
from lbmigrate.values.ids import exact_key, folded_id, id_forms, in_parts
from lbmigrate.values.paths import pluck, projection_of

if TYPE_CHECKING:
    from lbmigrate.config.model import Config, OptOut, Users


LOOKED_AT = NAME_LENGTH + 320  # of a text: what is shown, and the longest e-mail address that may begin in it
_EMAIL = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]")
_TRUE_WORDS = frozenset({"true", "1", "yes", "on"})


def known_users(database: Database[Any], config: Config, users: Sequence[Any]) -> set[Any]:
    """Those of `users` who are in the users collection, under either form of their id."""
    keys = [form for user in users for form in id_forms(user)]
    found = {folded_id(key) for key, _ in _find(database, config.users, keys)}
    return {user for user in users if folded_id(user) in found}


def profiles_of(database: Database[Any], config: Config, users: Sequence[Any]) -> dict[Any, Document]:
    """The snapshot fields of each of `users`; a user who is not in the collection has none of it but the defaults.

    Where no document has the very id, one that has it in another form counts: an ObjectId for its 24 digits, in either
    case, or the other way round.
    """
    found = {exact_key(key): shown for key, shown in _find(database, config.users, users)}
    absent = [user for user in users if exact_key(user) not in found]
    if absent:
        keys = [form for user in absent for form in id_forms(user)]
        other = {folded_id(key): shown for key, shown in _find(database, config.users, keys)}
        nobody = snapshot(config.users, {})
        found = {exact_key(user): other.get(folded_id(user), nobody) for user in absent} | found
    return {user: found[exact_key(user)] for user in users}


def forms_of(users: Sequence[Any]) -> list[Any]:
    """Every id under which the users collection may have one of `users`."""
    return list({exact_key(form): form for user in users for form in (user, *id_forms(user))}.values())


def of_document(users: Users, document: Document) -> Document:
    """Whose document it is and what is shown of that user: what `profiles_from` needs, and however large it is."""
    return {"key": pluck([document], [users.key])[users.key][0], "shown": snapshot(users, document)}


def profiles_from(users: Users, ids: Sequence[Any], found: Sequence[Document]) -> dict[Any, Document]:
    """`profiles_of` from what `of_document` made of the documents of any of `forms_of(ids)`."""
    exact = {exact_key(each["key"]): each["shown"] for each in found}
    other = {folded_id(each["key"]): each["shown"] for each in found}
    nobody = snapshot(users, {})
    return {user: exact.get(exact_key(user)) or other.get(folded_id(user), nobody) for user in ids}


def _find(database: Database[Any], users: Users, keys: Sequence[Any]) -> Iterator[tuple[Any, Document]]:
    """Key and snapshot of the users with these keys. Documents may be large: no more than a batch is held."""
    collection, paths = lenient(database)[users.collection], projection_of(profile_paths(users))
    for some in in_parts(keys):
        for document in collection.find({users.key: {"$in": some}}, paths):
            found = of_document(users, document)
            yield found["key"], found["shown"]


def profile_paths(users: Users) -> tuple[str, ...]:
    """Every path of a user document that the board needs."""
    opt_out = (users.opt_out.path,) if users.opt_out else ()
    return (users.key, *users.display_name, *users.avatar, *opt_out)


def snapshot(users: Users, document: Document) -> Document:
    """The three snapshot fields of an entry."""
    values = {path: column[0] for path, column in pluck([document], profile_paths(users)).items()}
    return {
        "optOutSnapshot": opted_out(users.opt_out, values.get(users.opt_out.path) if users.opt_out else None),
        "displayNameSnapshot": _first_name(values[path] for path in users.display_name),
        "avatarSnapshot": next((v for path in users.avatar if is_avatar(v := values[path])), None),
    }


def is_avatar(value: Any) -> bool:
    """Whether a value can be shown: every entry of a user copies it, so pictures themselves are left out."""
    return isinstance(value, str) and 0 < len(value) <= AVATAR_LENGTH


def _first_name(values: Iterable[Any]) -> str | None:
    for value in values:
        name = value[:LOOKED_AT].strip() if isinstance(value, str) else ""
        if name and not _EMAIL.search(name):  # a display name is never an e-mail address
            return name[:NAME_LENGTH]
    return None


def opted_out(rule: OptOut | None, value: Any) -> bool:
    """Whether a user is off the board; strings are read as the words that settings collections keep."""
    if rule is None:
        return False
    if value is None:
        return rule.missing
    truth = value[:LOOKED_AT].strip().lower() in _TRUE_WORDS if isinstance(value, str) else bool(value)
    return truth is not rule.negate
