"""What of the configuration has changed since the ledger was scored: what that means, and which command settles it.

One table says so to every verb, and to the runbook (runbooks/correct.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate.config.digest import applied_rules
from lbmigrate.passes.scored_by import is_settled, kept_parts
from lbmigrate.run.context import Context
from lbmigrate.state import RULES, layouts

ORDER = "ranking.order"
PREPARE = "lbmigrate run"  # for another order alone: nothing is read again
SETTLE = (
    "lbmigrate reconcile"  # for whatever has changed: it reads again what has to be, adjusts, and rolls up everyone
)
NEW, GONE, RENAMED, OTHERS = "a source that is new", "a source that is gone", "a source that has another name", "rules"
SOURCES = frozenset({NEW, GONE, RENAMED})
Parts = dict[str, str]  # digests by the names of parts
MEANING: dict[str, str] = {
    "timezone": "days, weeks and streaks begin at other moments",
    "users.timezone": "days, weeks and streaks are those of other clocks",
    "day_starts": "days, weeks and streaks begin at another time of day",
    "periods": "entries of new kinds of periods are made, those of others are removed",
    "users": "entries show other names, pictures and wishes",
    ORDER: "who shares a score stands in another order",
    "future_limit": "actions count up to another time ahead of the clock",
    "collection": "other documents count",
    "where": "other documents count",
    "unwind": "other elements of documents count",
    "action": "what counts under the old name is taken back, and counts under the new one",
    "updated": "changes are told by another field, so the source is read again",
    "user": "actions are other people's",
    "at": "actions are of other times",
    "let": "actions are worth something else",
    "points": "actions are worth something else",
    "points_range": "actions are worth something else",
    "meta": "events that are added copy other fields, and those that are there stay as they are",
    NEW: "it is read from its beginning",
    GONE: "what it counted for is taken back",
    RENAMED: "it is read from its beginning, and nothing counts twice",
    OTHERS: "what was counted by others is worth what it is by those in force",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that has changed: what it is, and its row of MEANING."""

    words: str
    kind: str


def changes(context: Context) -> list[Change]:
    """All that has changed since the ledger was scored and the entries were made; none where nothing was begun."""
    order = [Change(f"`{ORDER}`", ORDER)] if _has_another_order(context) else []
    if is_settled(context):
        return order
    then, now = kept_parts(context), applied_rules(context.config)
    found = [*_of_all(then, now), *_of_sources(_by_source(then), _by_source(now))] if then else []
    return [*order, *(found or [Change("the rules", OTHERS)])]


def way(context: Context, otherwise: str) -> str:
    """The command that settles what is read again; `otherwise` where nothing has changed that a run does not see to."""
    return SETTLE if any(each.kind != ORDER for each in changes(context)) else otherwise


def settle(found: list[Change]) -> str:
    """The command that settles these."""
    return PREPARE if {each.kind for each in found} == {ORDER} else SETTLE


def _has_another_order(context: Context) -> bool:
    """Whether those who share a score stand, by what is on record, in another order than is configured."""
    return layouts.layout(context.state).order != context.config.ranking.order[1] and bool(context.state.get(RULES))


def sentence(found: list[Change]) -> str:
    """`` `where` of tasks and `timezone` have changed since the ledger was scored: … ``; empty for no changes."""
    parts = [each for each in found if each.kind not in SOURCES]
    told = []
    if parts:
        have = "have" if len(parts) > 1 or parts[0].kind == OTHERS else "has"
        told.append(
            f"{_and([each.words for each in parts])} {have} changed since the ledger was scored: {_means(parts)}"
        )
    told += [f"{each.words} since the ledger was scored: {_means([each])}" for each in found if each.kind in SOURCES]
    return "; ".join(told)


def drift(context: Context, but: str = "") -> str:
    """The sentence, and the command that settles it; empty where nothing has changed, or only what is `but`."""
    found = [each for each in changes(context) if each.kind != but]
    return f"{sentence(found)}; next: {settle(found)}" if found else ""


def _means(found: list[Change]) -> str:
    return ", ".join(dict.fromkeys(MEANING[each.kind] for each in found))


def _of_all(then: Parts, now: Parts) -> Iterator[Change]:
    """What is no source's own."""
    names = sorted(name for name in then.keys() | now.keys() if ":" not in name)
    yield from (Change(f"`{name}`", name) for name in names if then.get(name) != now.get(name))


def _of_sources(then: dict[str, Parts], now: dict[str, Parts]) -> Iterator[Change]:
    gone = {name: parts for name, parts in then.items() if name not in now}
    for name, parts in now.items():
        before = then.get(name)
        if before is not None:
            changed = sorted(part for part in before.keys() | parts.keys() if before.get(part) != parts.get(part))
            yield from (Change(f"`{part}` of {name}", part) for part in changed)
        elif called := next((other for other, theirs in gone.items() if theirs == parts), None):
            del gone[called]
            yield Change(f"source {called} is called {name}", RENAMED)
        else:
            yield Change(f"source {name} is new", NEW)
    yield from (Change(f"source {name} is gone", GONE) for name in gone)


def _by_source(parts: Parts) -> dict[str, Parts]:
    found: dict[str, Parts] = {}
    for name, digest in parts.items():
        source, colon, part = name.rpartition(":")
        if colon:
            found.setdefault(source, {})[part] = digest
    return found


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
