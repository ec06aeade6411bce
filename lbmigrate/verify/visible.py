"""Whether a user is shown, and with a name, told a second time; shares no code with the board."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson import Decimal128, ObjectId

from lbmigrate.config.users import Condition, OptOut, Users
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.values.ids import folded_id, id_forms, in_parts
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.values import getter, number

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})
LOOKED_AT = 440  # characters of a text


def paths(rules: Users) -> list[str]:
    """What is read of a user's own document."""
    own = [rules.opt_out.path] if rules.opt_out and rules.opt_out.settings is None else []
    return own + [each.path for each in (*rules.hidden, *rules.anonymous)]


def is_out(rules: Users, document: Document) -> bool:
    """Whether the user's own document hides the user."""
    rule = rules.opt_out
    wishes = rule is not None and rule.settings is None and _leaves(rule, document)
    return wishes or any(_said(each, document) in (True, None) for each in rules.hidden)


def is_nameless(rules: Users, document: Document) -> bool:
    """Whether it leaves the user without a name."""
    return any(_said(each, document) in (True, None) for each in rules.anonymous)


def out_by_settings(context: Context, users: Iterable[Any]) -> dict[str, bool]:
    """What settings that are kept apart say of users, by the folded id; all of it where there are none."""
    rule = context.config.users.opt_out
    if rule is None or rule.settings is None:
        return {}
    kept, found = rule.settings, dict[str, bool]()
    for some in in_parts([form for user in users for form in id_forms(user)]):
        asked = {kept.key: {"$in": some}, **kept.where}
        for row in context.sources[kept.collection].find(asked, projection_of([kept.key, rule.path])):
            name = folded_id(getter(kept.key)(row))
            found[name] = found.get(name, False) or _leaves(rule, row)
    return found


def _leaves(rule: OptOut, document: Document) -> bool:
    values = [value for value in reach(document, rule.path.split(".")) if value is not None]
    if not values:
        return rule.missing
    answers = [_truth(value) for value in values]
    return any(rule.unknown == "hide" if each is None else each != rule.negate for each in answers)


def _said(rule: Condition, document: Document) -> bool | None:
    values = [value for value in reach(document, rule.path.split(".")) if value is not None]
    if rule.exists is not None:
        return (bool(values) == rule.exists) != rule.negate
    single = [one for value in values for one in (value if isinstance(value, list) else [value]) if one is not None]
    answers = [_equal(wanted, value) for value in single for wanted in rule.wanted]
    if True in answers:
        return not rule.negate
    return None if None in answers else rule.negate


def _equal(wanted: Any, value: Any) -> bool | None:
    if isinstance(wanted, bool):
        truth = _truth(value)
        return None if truth is None else truth == wanted
    return _plain(wanted) == _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str | bool):
        return str(value)[:LOOKED_AT].strip().casefold()
    if isinstance(value, int | float | Decimal128):
        found = number(value)
        return str(int(found)) if found is not None and found == int(found) else str(value)
    return str(value).casefold() if isinstance(value, ObjectId) else str(value)[:LOOKED_AT].casefold()


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        word = value[:LOOKED_AT].strip().casefold()
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
    found = float(value) if isinstance(value, bool) else number(value)
    return {0.0: False, 1.0: True}.get(found) if found is not None else None


def reach(value: Any, path: list[str]) -> list[Any]:
    """Everything at a path, through each element of an array."""
    if not path:
        return [value]
    if isinstance(value, dict):
        return reach(value.get(path[0]), path[1:])
    found: list[Any] = []
    if isinstance(value, list):
        if path[0].isascii() and path[0].isdigit() and len(path[0]) < 10 and int(path[0]) < len(value):
            found += reach(value[int(path[0])], path[1:])
        found += [each for one in value if isinstance(one, dict) for each in reach(one.get(path[0]), path[1:])]
    return found
