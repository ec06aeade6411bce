"""Whether a user is shown, and with a name: what the conditions of the configuration make of the user's document.

A value that is neither of the two that are asked for hides. Where several values count, the strictest does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lbmigrate.records import NAME_LENGTH, Document
from lbmigrate.values.id_text import plain_text, whole_number
from lbmigrate.values.ids import id_type

if TYPE_CHECKING:
    from lbmigrate.config.users import Condition, OptOut, Users

LOOKED_AT = NAME_LENGTH + 320  # of a text: what is shown, and the longest e-mail address that may begin in it
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off", ""})


def visibility_paths(users: Users) -> tuple[str, ...]:
    """Every path that decides whether a user is shown."""
    opt_out = (users.opt_out.path,) if users.opt_out and not users.settings else ()
    return tuple(dict.fromkeys([*opt_out, *(each.path for each in (*users.hidden, *users.anonymous))]))


def is_hidden(users: Users, document: Document) -> bool:
    """Whether a user's document takes the user off the board; what a wish does that is kept elsewhere is not told."""
    opted = not users.settings and wishes_to_leave(users.opt_out, document)
    return opted or any(meets(each, document) is not False for each in users.hidden)


def is_anonymous(users: Users, document: Document) -> bool:
    """Whether a user is shown without name and avatar."""
    return any(meets(each, document) is not False for each in users.anonymous)


def wishes_to_leave(rule: OptOut | None, document: Document) -> bool:
    """Whether a document, the user's own or one of the settings, says that the user is off the board."""
    wishes = values_at(document, rule.path) if rule else []
    return any(opted_out(rule, wish) for wish in wishes or [None])


def opted_out(rule: OptOut | None, value: Any) -> bool:
    """Whether a user is off the board; strings are read as the words that settings collections keep."""
    if rule is None:
        return False
    if value is None:
        return rule.missing
    truth = yes_or_no(value)
    return rule.unknown == "hide" if truth is None else truth is not rule.negate


def meets(condition: Condition, document: Document) -> bool | None:
    """Whether a document meets a condition; None where a value is neither yes nor no, and one of them is wanted."""
    found = values_at(document, condition.path)
    if condition.exists is not None:
        answer: bool | None = bool(found) is condition.exists
    else:
        answer = _strictest(_is(wanted, value) for value in _flat(found) for wanted in condition.wanted)
    return answer if answer is None else answer is not condition.negate


def unforeseen(users: Users, document: Document) -> Iterator[tuple[str, Any]]:
    """The values that say neither yes nor no where one of them is wanted, with their paths."""
    if users.opt_out and not users.settings:
        values = ((users.opt_out.path, value) for value in values_at(document, users.opt_out.path))
        yield from ((path, value) for path, value in values if yes_or_no(value) is None)
    for each in (*users.hidden, *users.anonymous):
        if meets(each, document) is None:
            yield from (
                (each.path, value) for value in _flat(values_at(document, each.path)) if yes_or_no(value) is None
            )


def yes_or_no(value: Any) -> bool | None:
    """What a value says, if it is one of the words and numbers for yes and no."""
    if isinstance(value, str):
        word = value[:LOOKED_AT].strip().casefold()
        return True if word in _YES else False if word in _NO else None
    number = int(value) if isinstance(value, bool) else whole_number(value)
    return bool(number) if number in (0, 1) else None


def _strictest(answers: Iterable[bool | None]) -> bool | None:
    """True before doubt, and doubt before False."""
    found = set(answers)
    return True if True in found else None if None in found else False


def _is(wanted: bool | float | str, value: Any) -> bool | None:
    if isinstance(wanted, bool):
        truth = yes_or_no(value)
        return None if truth is None else truth is wanted
    return _folded(wanted) == _folded(value)


def _folded(value: Any) -> str:
    """A value in the form that all have that are taken for the same: 1, 1.0 and "1", `Banned` and `banned`."""
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, str):
        return value[:LOOKED_AT].strip().casefold()
    if id_type(value):
        return plain_text(value).casefold()
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)[:LOOKED_AT].casefold()


def values_at(document: Document, path: str) -> list[Any]:
    """What a document has at a path that is not null, as a server looks for it: through every element of an array."""
    if "." not in path:
        return [] if (value := document.get(path)) is None else [value]
    found: list[Any] = [document]
    for part in path.split("."):
        found = [child for value in found for child in _children(value, part)]
    return [value for value in found if value is not None]


def _children(value: Any, part: str) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value.get(part)
    elif isinstance(value, list):
        if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value):
            yield value[int(part)]
        yield from (each.get(part) for each in value if isinstance(each, dict))


def _flat(values: Iterable[Any]) -> list[Any]:
    """Values, and of an array its elements."""
    return [each for value in values for each in (value if isinstance(value, list) else [value]) if each is not None]
