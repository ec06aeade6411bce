"""The rules of a configuration as digests: equal ones are equal rules, in whatever order a file has the keys."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from bson import json_util

from lbmigrate.config.model import Config, Source

APPLIED = {
    "collection",
    "action",
    "where",
    "user",
    "moments",
    "let",
    "points",
    "points_range",
    "unwind",
    "updated",
    "meta",
}  # of a source
PARTS = {"collection", "action", "where", "user", "moments", "let", "points_range", "unwind"}  # of a source, as is
ELSEWHERE: dict[str, Any] = {  # what a worker may have otherwise than the run that it works for
    "database": {"uri"}, "redis": {"url"}, "throttle": True, "verify": True, "live": True,
    "backfill": {"workers", "target", "attempts", "failing_share"},
}  # fmt: skip
_SHOWN: dict[str, Any] = {"users": True, "sources": {"__all__": APPLIED}}
_APART: dict[str, Any] = {"users": {"timezone"}}
WHICH = frozenset({"collection", "action", "where", "unwind", "updated"})


def config_digest(config: Config) -> str:
    """12 hex digits of the SHA-256 of what decides points: days, periods, sources; in any order of keys.

    Of what came later only what is set counts: digests that are kept already know nothing of it.
    """
    parts = config.model_dump(include={"timezone", "sources"}, by_alias=True) | {"periods": sorted(config.periods)}
    if config.day_begins:
        parts["day_starts"] = config.day_starts
    if config.users.timezone:
        parts["users.timezone"] = config.users.timezone
    for source in parts["sources"]:
        if source["points_range"] is None:
            del source["points_range"]
    return _digest(parts)


def applied_rules(config: Config) -> dict[str, str]:
    """A digest for each part of the configuration that events and entries are made by, of a source as `NAME:part`.

    What is left at its default is in none of them, so that a version that knows more parts finds the old ones equal.
    """
    limit = config.backfill.future_limit
    # Asked of the whole configuration, which is compiled for that already: each part alone takes milliseconds at first.
    shown = config.model_dump(include=_SHOWN, exclude=_APART, by_alias=True, exclude_defaults=True)
    parts: dict[str, Any] = {
        "timezone": config.timezone,
        "periods": sorted(config.periods),
        "users": shown.get("users", {}),
        "users.timezone": config.users.timezone,
        "day_starts": config.day_starts,
        "future_limit": None if limit is None else limit.total_seconds(),
    }
    for source, said in zip(config.sources, shown.get("sources", ()), strict=True):
        parts |= {f"{source.name}:{name}": part for name, part in said.items()}
    return {name: _digest(part) for name, part in parts.items()}


def applied_digest(config: Config) -> str:
    """All of `applied_rules` in 12 hex digits."""
    return _digest(applied_rules(config))


def reading_rules(config: Config, source: Source) -> dict[str, str]:
    """A digest for each part of the rules that decides which events reading a source from end to end can add.

    WHICH decide what is read, the others whether that can be scored. Not among them are those that only change what an
    event holds that is there already: how many points every document is worth, and `meta`. What a points function does
    cannot be told from here.
    """
    shown = config.model_dump(include={"sources": {"__all__": PARTS | {"name"}}}, by_alias=True)
    parts = next(said for said in shown["sources"] if said.pop("name") == source.name)
    limit = config.backfill.future_limit
    parts |= {
        "updated": source.cursor,
        "points": "a number" if isinstance(source.points, int) else source.points,
        "timezone": config.timezone,
        "future_limit": None if limit is None else limit.total_seconds(),
    }
    return {name: _digest(part) for name, part in parts.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:12]


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key!r}:{_canonical(item)}" for key, item in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, dt.timedelta):
        return repr(value)
    return json_util.dumps(value)


def likeness(config: Config) -> dict[str, str]:
    """A digest for each part of all by which a worker does the same as the run that it works for: each source by name.

    Where the server is, and how a run steers itself, is no part of that.
    """
    parts = config.model_dump(by_alias=True, exclude=ELSEWHERE)
    sources = {f"sources:{source['name']}": source for source in parts.pop("sources")}
    return {name: _digest(part) for name, part in {**parts, **sources}.items()}
