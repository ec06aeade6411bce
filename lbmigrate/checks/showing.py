"""Who is not shown, or is without a name: by the conditions, by an unforeseen value, for want of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from pymongo.cursor import Cursor
from pymongo.errors import ExecutionTimeout

from lbmigrate.board.profiles import known_users, of_nobody
from lbmigrate.board.visibility import is_anonymous, is_hidden, unforeseen, values_at, yes_or_no
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.checks.looking import Looks
from lbmigrate.config.users import Users
from lbmigrate.ledger import sources
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.paths import projection_of

LOOKING_MS = 5_000
MOST = 1_000  # users with an unforeseen value who are counted
BOARD = 20_000  # entries whose users are looked up
AT_ONCE = 500  # users
FORESEEN = (None, True, False, 0, 1, re.compile(r"^\s*(true|false|yes|no|on|off|0|1)?\s*$", re.IGNORECASE))


def findings(context: Context, rows: Sequence[Document], looks: Looks, bounded: bool) -> Iterator[Finding]:
    """How many of the users looked at are hidden or nameless; with `bounded` no more than `rows` are looked at."""
    users = context.config.users
    if users.opt_out or users.hidden or users.anonymous:
        hidden = sum(is_hidden(users, row) for row in rows)
        nameless = sum(is_anonymous(users, row) and not is_hidden(users, row) for row in rows)
        fact = f"of {amount(len(rows), 'user')} looked at, {hidden} are not shown, {nameless} without name and avatar"
        yield Finding("ok", "users", fact)
    yield from _unforeseen(users, _by_path(users, rows if bounded else _with_unforeseen(context, rows)))
    yield from _unforeseen(users, {} if bounded else _settings(context))
    if not bounded:
        yield from _without_document(context, looks)


def _by_path(users: Users, rows: Sequence[Document]) -> dict[str, list[Any]]:
    """The values of user documents that say neither yes nor no, one a user."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for path, value in dict(unforeseen(users, row)).items():
            found.setdefault(path, []).append(value)
    return found


def _settings(context: Context) -> dict[str, list[Any]]:
    """The same of wishes that are kept apart from the users."""
    users = context.config.users
    if users.settings is None or users.opt_out is None:
        return {}
    path, home = users.opt_out.path, lenient(context.sources)[users.settings.collection]
    asked = {**users.settings.where, "$nor": [{path: {"$in": FORESEEN}}]}
    rows = _in_time(home.find(asked, projection_of([path])).limit(MOST), context, [])
    values = [value for row in rows for value in values_at(row, path) if yes_or_no(value) is None]
    return {path: values} if values else {}


def _in_time(found: Cursor[Document], context: Context, otherwise: Sequence[Document]) -> Sequence[Document]:
    """What the server finds in time."""
    try:
        return list(found if is_fake(context.sources) else found.max_time_ms(LOOKING_MS))
    except ExecutionTimeout:
        return otherwise


def _unforeseen(users: Users, found: dict[str, list[Any]]) -> Iterator[Finding]:
    """Values that say neither yes nor no, path by path."""
    for path, values in found.items():
        shown = users.opt_out and users.opt_out.unknown == "show" and path == users.opt_out.path
        number = f"{'at least ' if len(values) >= MOST else ''}{amount(len(values), 'user')}"
        fact = f"{number}: {_home(users, path)}.{path} says neither yes nor no, for example {excerpt(values[0])}"
        told = "shown" if shown else "not shown"
        level: Level = "ok" if shown else "warning"
        fix = f"say instead which values hide: users.hidden: [{{path: {path}, in: [VALUE]}}]"
        yield Finding(level, "users", f"{fact}; they are {told}", fix)


def _home(users: Users, path: str) -> str:
    apart = users.settings and users.opt_out and users.opt_out.path == path
    return users.settings.collection if users.settings and apart else users.collection


def _with_unforeseen(context: Context, rows: Sequence[Document]) -> Sequence[Document]:
    """All users who have such a value, up to MOST; those of `rows`, where the server does not find them in time."""
    users = context.config.users
    asked = [each.path for each in (*users.hidden, *users.anonymous) if any(isinstance(w, bool) for w in each.wanted)]
    paths = list(dict.fromkeys([*([users.opt_out.path] if users.opt_out and not users.settings else []), *asked]))
    if not paths:
        return []
    condition = {"$or": [{"$nor": [{path: {"$in": FORESEEN}}]} for path in paths]}
    found = lenient(context.sources)[users.collection].find(condition, projection_of(paths)).limit(MOST)
    return _in_time(found, context, rows)


def _without_document(context: Context, looks: Looks) -> Iterator[Finding]:
    """How many of those who are on the board, or are to be, have no document among the users."""
    users = context.config.users
    board = _on_board(context) or _seen(context, looks)
    known = set(chain.from_iterable(known_users(context.sources, context.config, p) for p in in_parts(board, AT_ONCE)))
    missing = len(board) - len(known)
    if not known or not missing:
        return
    is_shown = "not shown" if of_nobody(users)["optOutSnapshot"] else "shown without a name"
    have = "has" if missing == 1 else "have"
    fact = (
        f"of {amount(len(board), 'user')} with points looked at, {missing:,} {have} no document in {users.collection}"
    )
    level: Level = "warning" if users.missing is None else "ok"
    fix = "" if users.missing else "say what is to become of them: users.missing: hide, anonymous or show"
    yield Finding(level, "users", f"{fact}; they are {is_shown}", fix)


def _on_board(context: Context) -> list[Any]:
    """Users who have entries, in the order of the index."""
    found = context.target[ENTRIES].find({"rev": {"$exists": True}}, {"userId": 1}).sort("userId", 1).limit(BOARD)
    return list(dict.fromkeys(user for entry in found if names_a_user(user := entry["userId"])))


def _seen(context: Context, looks: Looks) -> list[Any]:
    """Users of the documents that were looked at."""
    ids = (user for s in context.config.sources for user in sources.users_of(context, s, looks.get(s.name, [])))
    return list(dict.fromkeys(user for user in ids if names_a_user(user)))
