"""An action as the app tells it becomes the event that the backfill would make of its document. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from bson import Int64

from lbmigrate.config.model import Config, Source
from lbmigrate.config.types import RESERVED_META
from lbmigrate.errors import UsageError
from lbmigrate.records import MOST_POINTS, Document
from lbmigrate.rules.user_ref import user_id
from lbmigrate.values.coerce import as_time
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import former_texts, id_text, id_texts, plain_text
from lbmigrate.values.ids import is_document_id, plain_id
from lbmigrate.values.limits import named, names_a_user, names_nothing, too_much


def source_named(config: Config, name: object) -> Source:
    """The source of that name, or UsageError with those that there are."""
    sources = {source.name: source for source in config.sources}
    if type(name) is not str or name not in sources:
        raise UsageError(f"there is no source {_quoted(name)}; there are {', '.join(sources)}", "lbmigrate config show")
    return sources[name]


def source_of(config: Config, action: object) -> Source:
    """The first source whose documents are that action, or UsageError with the actions that there are."""
    sources: dict[str, Source] = {}
    for source in config.sources:
        sources.setdefault(source.action, source)
    if type(action) is not str or action not in sources:
        raise UsageError(
            f"no source has the action {_quoted(action)}; there are {', '.join(sources)}", "lbmigrate config show"
        )
    return sources[action]


def _quoted(name: object) -> str:
    return repr(named(name)) if isinstance(name, str) else excerpt(name)


def of_action(action: str) -> Document:
    """The condition for what the ledger has of an action, as its `_id`s say: a range of their index."""
    return {"_id": {"$gte": f"{action}:", "$lt": f"{action};"}}


def of_other_actions(config: Config) -> list[Document]:
    """The conditions for what the ledger has of actions that no source has: the ranges between those that there are."""
    actions = {f"{source.action}:": source.action for source in config.sources}
    bounds = [of_action(actions[start])["_id"] for start in sorted(actions)]
    between = [{"_id": {"$gte": low["$lt"], "$lt": high["$gte"]}} for low, high in pairwise(bounds)]
    return [{"_id": {"$lt": bounds[0]["$gte"]}}, *between, {"_id": {"$gte": bounds[-1]["$lt"]}}]


def former_ids(action: str, ids: Sequence[Any]) -> dict[str, str]:
    """How an earlier version wrote the events of documents with these ids, by their `_id` now, where that differs."""
    former = former_texts(ids)
    pairs = zip(id_texts(ids), former, strict=True) if former else ()
    return {f"{action}:{new}": f"{action}:{old}" for new, old in pairs if new != old}


def live_event(
    source: Source,
    user: Any,
    source_id: Any,
    points: int,
    at: dt.datetime,
    meta: Mapping[str, Any],
    latest: dt.datetime | None = None,
) -> Document:
    """The event of a live action of `source`. Raises UsageError for what cannot be part of one.

    What the backfill would reject is refused here as well: points outside the source's bounds, a time after `latest`.
    """
    _check_meta(meta)
    return {
        "_id": live_id(source, source_id),
        "userId": _user(user, source),
        "actionType": source.action,
        "points": _whole(points, source),
        "sourceId": source_id,
        "meta": {**meta, "origin": "live"},
        "createdAt": _moment(at, latest),
    }


def live_id(source: Source, source_id: Any) -> str:
    """The `_id` of the event of a document of `source`. Raises UsageError for what no document can have as its own."""
    check_source_id(source_id)
    return f"{source.action}:{_text(source, source_id)}"


def check_source_id(given: Any) -> None:
    """Raise UsageError for what no document can have as its `_id`."""
    if given is None:
        raise UsageError("source_id is missing: it names the action, so that it counts once")
    reason = names_nothing(given)
    if reason:
        raise UsageError(f"source_id {reason} ({excerpt(given)})", "give the _id of the document that tells of it")


def _check_meta(meta: object) -> None:
    if not isinstance(meta, Mapping):
        raise UsageError(f"meta must be a mapping of names to values, not {excerpt(meta)}")
    taken = sorted(RESERVED_META & meta.keys())
    if taken:
        raise UsageError(f"meta.{taken[0]} is written by lbmigrate itself; choose another name")
    for name, value in meta.items():
        if not isinstance(name, str) or name.startswith("$") or "." in name or "\0" in name:
            raise UsageError(f"meta has the name {excerpt(name)}: names are text without a dot, and begin with no $")
        if reason := too_much(value):
            raise UsageError(f"meta.{name[:80]} {reason}")
    if reason := too_much(dict(meta)):
        raise UsageError(f"meta {reason}")


def constant_points(config: Config, action: str) -> int:
    """What every document of an action is worth, or UsageError where that depends on the document."""
    rules = {source.points for source in config.sources if source.action == action}
    constant = next(iter(rules))
    if len(rules) > 1 or not isinstance(constant, int):
        raise UsageError(f"{action} has no constant points", hint="give points=N, or call record_source")
    return constant


def _text(source: Source, given: Any) -> str:
    """The name of an element is a text already; the id of a document is written as one."""
    if not is_document_id(given) or (source.unwind and not isinstance(given, str)):
        raise UsageError(f"source_id cannot be the id of a document of {source.name} ({excerpt(given)})")
    return plain_text(given) if source.unwind else id_text(given)


def _user(given: Any, source: Source) -> Any:
    user = plain_id(user_id(given, source.user))
    if user is None or not names_a_user(user):
        raise UsageError(f"user_id cannot name a user of {source.name} ({excerpt(given)})")
    return user


def _whole(points: object, source: Source) -> Int64:
    if isinstance(points, bool) or not isinstance(points, int):
        raise UsageError(f"points must be a whole number, not {excerpt(points)}")
    if abs(points) > MOST_POINTS:
        raise UsageError(f"points are more than points can be ({MOST_POINTS}): {excerpt(points)}")
    low, high = source.bounds
    if not low <= points <= high:
        raise UsageError(f"points of {source.name} must be from {low} to {high}, not {points}", "lbmigrate config show")
    return Int64(points)


def _moment(at: object, latest: dt.datetime | None) -> dt.datetime:
    moment = as_time(at, ZoneInfo("UTC")) if isinstance(at, dt.datetime) else None
    if moment is None:
        raise UsageError(f"at must be a datetime from 1900 to 2199, not {excerpt(at)}")
    if latest is not None and moment > latest:
        raise UsageError(f"at is in the future ({moment})", "lbmigrate config show names backfill.future_limit")
    return moment
