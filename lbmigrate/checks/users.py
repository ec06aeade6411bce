"""The users and their ids, as far as a look at some of them tells: names, keys, one type of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.board.profiles import known_users, profile_paths, snapshot
from lbmigrate.board.visibility import values_at, visibility_paths
from lbmigrate.checks import showing, strangers, zones
from lbmigrate.checks.finding import Finding, Level
from lbmigrate.checks.looking import CHECK_CONFIG, SAMPLE, Looks, begun, shares
from lbmigrate.config.model import Source
from lbmigrate.config.users import Users
from lbmigrate.errors import Refused
from lbmigrate.ledger import sources
from lbmigrate.ledger.user_ids import OneUserType, spread
from lbmigrate.mongo.sample import some
from lbmigrate.passes.read_plan import is_indexed
from lbmigrate.records import AVATAR_LENGTH, NAME_LENGTH, Document, amount
from lbmigrate.run.context import Context
from lbmigrate.values.limits import names_a_user
from lbmigrate.values.paths import pluck, projection_of

STRANGERS = 200  # users who are looked up
FEW = 20  # documents of a source: fewer may all be odd


def one_type(context: Context, told: list[Finding], looks: Looks, bounded: bool) -> Iterator[Finding]:
    """Whether all users are named by ids of one type; nothing where something else forbids a run already.

    With `bounded` nobody looks for the few who are not.
    """
    if any(finding.level == "refusal" for finding in told):
        return
    try:
        kinds = OneUserType(context, seen=looks).kinds
    except Refused as error:
        yield Finding("refusal", "user ids", error.message, error.hint)
    else:
        yield Finding("ok", "user ids", f"of one type: {', '.join(kinds) or 'none seen yet'}")
        if kinds and not bounded:
            yield from strangers.findings(context, kinds[0])


def findings(context: Context, present: dict[str, Document], looks: Looks, bounded: bool) -> Iterator[Finding]:
    """What the users have of what the board shows, and whether those who did something are among them.

    With `bounded` only some of the users are looked at.
    """
    users = context.config.users
    if users.collection not in present:
        fact = f"collection {users.collection!r} does not exist: the board would have no names and hide nobody"
        yield Finding("refusal", "users", fact, CHECK_CONFIG)
        return
    if users.settings and users.settings.collection not in present:
        fact = f"collection {users.settings.collection!r} does not exist: who wants to be hidden would be shown"
        yield Finding("refusal", "users", fact, CHECK_CONFIG)
        return
    paths = (*profile_paths(users), *(path for path in (users.timezone, users.updated) if path))
    rows = some(context.sources[users.collection], {}, projection_of(paths), SAMPLE)
    if not rows:
        yield Finding("warning", "users", f"{users.collection} is empty: the board will have no names", CHECK_CONFIG)
        return
    columns = pluck(rows, paths)
    having = {path: sum(value is not None for value in column) for path, column in columns.items()}
    having |= {path: sum(bool(values_at(row, path)) for row in rows) for path in visibility_paths(users)}
    yield Finding("ok", "users", f"of {amount(len(rows), 'user')}: {shares(having, len(rows))}")
    for chain in (group for group in _chains(users) if group and not any(having[path] for path in group)):
        fact = f"none of {amount(len(rows), 'user')} has {' or '.join(chain)}"
        level: Level = "refusal" if users.key in chain else "warning"
        yield Finding(level, "users", fact, "correct the path, or leave it if it is yet to come")
    if not is_indexed(context.sources[users.collection], users.key):
        fact = f"{users.collection}.{users.key} has no index: every roll-up reads the whole collection"
        yield Finding("warning", "users", fact, f"db.{users.collection}.createIndex({{{users.key!r}: 1}})")
    if users.updated and having[users.updated] and not is_indexed(context.sources[users.collection], users.updated):
        fact = f"{users.collection}.{users.updated} has no index: each incremental backfill looks at every user"
        yield Finding("warning", "users", fact, f"db.{users.collection}.createIndex({{{users.updated!r}: 1}})")
    yield from _addresses(context)
    yield from _shown(users, rows)
    yield from zones.findings(context, rows, bounded)
    yield from showing.findings(context, rows, looks, bounded)
    yield from _strangers(context, looks)


def _chains(users: Users) -> list[Sequence[str]]:
    """The paths that are read, those together of which one suffices."""
    alone = [users.key, *visibility_paths(users), *(path for path in (users.timezone, users.updated) if path)]
    return [*([path] for path in dict.fromkeys(alone)), users.display_name, users.avatar]


def _addresses(context: Context) -> Iterator[Finding]:
    """Fields by which users are looked up, and which no index has."""
    users, config = context.sources[context.config.users.collection], context.config
    for field in dict.fromkeys(source.user.looked_up for source in config.sources if source.user.lookup):
        if field and not is_indexed(users, field):
            fact = f"{users.name}.{field} has no index: for each chunk all users are read"
            yield Finding("warning", "users", fact, f"db.{users.name}.createIndex({{{field!r}: 1}})")


def _shown(users: Users, rows: list[Document]) -> Iterator[Finding]:
    """Who would have no name, and whose picture is too large for every entry to copy it."""
    shown = [snapshot(users, row) for row in rows]
    nameless = sum(each["displayNameSnapshot"] is None for each in shown)
    if nameless:
        names = " or ".join(users.display_name) or "a display name: users.display_name is empty"
        fact = f"{nameless} of {amount(len(rows), 'user')} looked at have no {names}"
        yield Finding("warning", "users", fact, "they are shown without a name; add a path to users.display_name")
    address, another = "keep the address of a picture there", "add another path to users.display_name"
    yield from _unlike_text(rows, users.avatar, "avatar", AVATAR_LENGTH, "left out", address)
    yield from _unlike_text(rows, users.display_name, "name", NAME_LENGTH, "shown up to there", another)


def _unlike_text(
    rows: list[Document], paths: Sequence[str], what: str, most: int, long_ones: str, fix: str
) -> Iterator[Finding]:
    """How many values of these paths are longer than an entry copies, and how many are no text at all."""
    values = [value for column in pluck(rows, paths).values() for value in column if value is not None]
    long = sum(isinstance(value, str) and len(value) > most for value in values)
    others = sum(not isinstance(value, str) for value in values)
    of = f"of {amount(len(rows), 'user')} looked at"
    if long:
        is_ = "is" if long == 1 else "are"
        fact = f"{amount(long, what)} {of} {is_} longer than {most:,} characters, and {long_ones}"
        yield Finding("warning", "users", fact, fix)
    if others:
        is_ = "is" if others == 1 else "are"
        yield Finding("warning", "users", f"{amount(others, what)} {of} {is_} no text, and left out", fix)


def _strangers(context: Context, looks: Looks) -> Iterator[Finding]:
    """Whether those who did something are among the users at all: a wrong key would hide nobody and name nobody."""
    seen = {
        source.name: _acquaintance(context, source, looks.get(source.name, [])) for source in context.config.sources
    }
    nobody = not any(known for _, known in seen.values())
    for source in context.config.sources:
        looked_at, known = seen[source.name]
        if known or not looked_at:
            continue
        sure = (nobody or looked_at >= FEW) and not begun(context)
        key = f"{context.config.users.collection}.{context.config.users.key}"
        fact = f"no user of {source.collection} is found by {key}"
        yield Finding("refusal" if sure else "warning", "users", fact, CHECK_CONFIG)


def _acquaintance(context: Context, source: Source, rows: list[Document]) -> tuple[int, bool]:
    """How many documents of a source were looked at, and whether any of their users is known."""
    if _any_known(context, source, rows):
        return len(rows), True
    # both ends may be those of old accounts: what lies between is looked at before anything is refused
    between = spread(context.sources[source.collection], source, STRANGERS) if len(rows) >= SAMPLE else []
    return len(rows), _any_known(context, source, between)


def _any_known(context: Context, source: Source, rows: list[Document]) -> bool:
    ids = sources.users_of(context, source, rows)
    users = list(dict.fromkeys(user for user in ids if names_a_user(user)))
    parts = (users[start : start + STRANGERS] for start in range(0, len(users), STRANGERS))
    return any(known_users(context.sources, context.config, part) for part in parts)
