"""Users who took another name, moved to another zone, opted out or came back: their entries take that over.

The board looks at the user when it shows an entry, so nobody who opted out is seen before that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, ClassVar

from lbmigrate.board.profiles import copied, profiles_of
from lbmigrate.ledger import rolling, walk
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.passes.read_plan import before, is_indexed, newest, ranges
from lbmigrate.records import AVATAR_LENGTH, Checkpoint, Document, Piece
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import Ask, Job, Way, shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News
from lbmigrate.schema.layout import everywhere
from lbmigrate.state import layouts
from lbmigrate.values.ids import id_forms, portions, room
from lbmigrate.values.limits import names_a_user, short
from lbmigrate.values.paths import pluck, projection_of

ROW = "profiles"  # keeps up to when changes of users are in the entries
SUBJECT = "profiles"
AT_ONCE = 500  # users
EVER = dt.datetime.min


def reached(context: Context) -> Checkpoint | None:
    """What to remember once everybody who changed until now is in the entries; None where that cannot be told."""
    users = context.config.users
    if users.updated is None or context.scope.bounded:
        return None
    now, collection = server_time(context.sources), context.sources[users.collection]
    indexed = is_indexed(collection, users.updated)
    return Checkpoint(ROW, {"value": newest(collection, users.updated, now) if indexed else now})


def opening(context: Context, seen: Checkpoint) -> Checkpoint | None:
    """What to remember before the first entries are made; where there are some, their users are looked at once."""
    if context.state.get(ROW):
        return None
    some = next(everywhere(context.target, layouts.layout(context.state), {}, {"_id": 1}), None)
    return Checkpoint(ROW, {"value": EVER}) if some else seen


def refresh(context: Context, gate: Gate) -> Iterator[Piece]:
    """Roll up those who changed since the last time and whose entries show something else.

    A user without the field that `users.updated` names counts as unchanged.
    """
    since = context.state.get(ROW).get("value")
    if context.config.users.updated is None or context.scope.bounded or since is None:
        return
    done, changed = 0, gate.through(_changed(context, before(since, context.config.backfill.lag)))
    for came in shared_out(Refreshing(context), changed):
        if isinstance(came, Held | News):
            yield came.on(Piece(SUBJECT, done, unit="users"))
            continue
        users, written = came
        done += users
        yield Piece(SUBJECT, done, unit="users", entries=written)


@dataclass(frozen=True)
class Refreshing(Job[list[Any], tuple[int, int]]):
    """Rolls up those of some users who are shown otherwise: how many were looked at, and entries written."""

    NAME: ClassVar[str] = "refresh"

    context: Context

    def here(self, keys: list[Any]) -> tuple[int, int]:
        moved, written = self.context.config.users.timezone is not None, 0
        for users in walk.selections(retrying(partial(_outdated, self.context, keys))):
            written += retrying(partial(rolling.roll_up, self.context, users, anywhere=moved)).written
        return len(keys), written

    def task(self, keys: list[Any]) -> Document:
        return {"keys": keys}

    def came_to(self, keys: list[Any], found: Document) -> tuple[int, int]:
        return len(keys), found["written"]


def _carried_out(context: Context, task: Document, _: Ask) -> Document:
    return {"written": Refreshing(context).here(task["keys"])[1]}


WAYS: dict[str, Way] = {Refreshing.NAME: _carried_out}


def _changed(context: Context, since: dt.datetime) -> Iterator[list[Any]]:
    """The keys of the users who changed, some at a time; the field may hold dates, epoch times or ISO 8601 strings."""
    users = context.config.users
    text = {"$gte": since.date().isoformat()}  # sorts as the times do, give or take the offset, less than `lag`
    wanted = [*ranges(since), text]
    asked = {} if since == EVER else {"$or": [{str(users.updated): each} for each in wanted]}
    keys = _keys(context, users.collection, users.key, asked)
    if (kept := users.settings) and kept.updated:
        asked = {} if since == EVER else {"$or": [{kept.updated: each} for each in wanted]}
        keys = chain(keys, _keys(context, kept.collection, kept.key, {**kept.where, **asked}))
    yield from portions((key for key in keys if names_a_user(key)), room, AT_ONCE)


def _keys(context: Context, collection: str, key: str, asked: Document) -> Iterator[Any]:
    rows = context.sources[collection].find(asked, projection_of([key]))
    return (pluck([row], [key])[key][0] for row in rows)


def _outdated(context: Context, keys: list[Any]) -> list[Any]:
    """The users, as the ledger calls them, who have an entry that shows something else than their documents say."""
    theirs = {"userId": {"$in": [form for key in keys for form in id_forms(key)]}}
    layout, names = layouts.layout(context.state), copied(context.config.users)
    found = everywhere(context.target, layout, theirs, dict.fromkeys(("userId", *names), 1))
    copies = [(entry["userId"], _copy(entry, names)) for entry in found]
    shown = profiles_of(context.sources, context.config, list({user for user, _ in copies}))
    return [user for user, copy in copies if copy != shown[user]]


def _copy(entry: Document, names: Sequence[str]) -> Document:
    """What an entry shows; what is larger than anything that is copied from a user differs by its name alone."""
    return {name: short(entry.get(name), AVATAR_LENGTH) for name in names}
