"""Where the board begins: actions before that are left out, not by one run but by every one that follows.

`backfill.since` of the configuration says it, or else the `run --since` that it was begun with, which the state
remembers. An earlier one by the same ways makes the board reach further back; a later one takes nothing away.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from lbmigrate.config.moment import is_ago, moment
from lbmigrate.errors import UsageError
from lbmigrate.records import EARLIEST, Checkpoint, Document
from lbmigrate.run.context import Context, Scope
from lbmigrate.state import BEGINNING
from lbmigrate.state.operator import operator

EARLIER = "lbmigrate run --since DATE, or --since all"


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first moment that counts, and who says so: the configuration, or the run that it was chosen with."""

    at: dt.datetime
    words: str
    said: str
    by_config: bool = False

    def __str__(self) -> str:
        return f"actions before {self.at:%Y-%m-%dT%H:%M:%SZ} are left out, as {self.said} says"

    @property
    def earlier(self) -> str:
        """What makes the board reach further back."""
        return "an earlier `backfill.since`, then: lbmigrate backfill" if self.by_config else EARLIER


def beginning(context: Context) -> Beginning | None:
    """Where the board begins; None where it takes every action there is."""
    words, row = context.config.backfill.since, context.state.get(BEGINNING)
    if words is not None:
        kept = row.get("config", {})
        at = kept["at"] if kept.get("words") == words else moment(words, context.clock())
        found = Beginning(at, words, f"backfill.since ({words})", by_config=True)
    elif chosen := row.get("chosen"):
        said = f"`run --since {chosen['words']}` of {chosen['by']}"
        found = Beginning(chosen["at"], chosen["words"], said)
    else:
        return None
    return found if found.at > EARLIEST else None


@dataclass(frozen=True, slots=True)
class Settled:
    """A run's surroundings with the board's beginning in its scope; what to remember of it, and what to tell."""

    context: Context
    checkpoint: Checkpoint | None = None
    told: str = ""


def settled(context: Context) -> Settled:
    """What a backfill goes by: what it was asked for, within where the board begins.

    A `--since` that is lasting and says, or moves, where the board begins is not a bound of this one backfill any more.
    Raises UsageError where it is earlier than the configuration says.
    """
    here, scope = beginning(context), context.scope
    if scope.since is None or not scope.lasting:
        return Settled(_within(context, here), _resolved(context, here), _left_out(here, scope))
    if here is not None and here.by_config:
        _refuse_earlier(here, scope)
    if not _is_choice(context, here):
        return Settled(_within(context, here), _resolved(context, here), alone("run", scope))
    unbounded = replace(scope, since=None)
    if here is not None and scope.since >= here.at:  # the same once more, perhaps on another day
        told = f"{here}: this run goes on from there" if scope.words != here.words and scope.since > here.at else ""
        return Settled(_within(replace(context, scope=unbounded), here), _resolved(context, here), told)
    words = scope.words or scope.since.isoformat()
    chosen = {"at": scope.since, "words": words, "by": operator()}
    found = Beginning(scope.since, words, "this run") if scope.since > EARLIEST else None
    told = (
        f"the board begins at {scope.since:%Y-%m-%d}: later backfills leave older actions out as well" if found else ""
    )
    return Settled(_within(replace(context, scope=unbounded), found), Checkpoint(BEGINNING, {"chosen": chosen}), told)


def within(context: Context) -> Context:
    """The surroundings with the board's beginning in their scope."""
    return _within(context, beginning(context))


def alone(verb: str, scope: Scope) -> str:
    """That a bound is for one backfill, and what the next one does; empty for a user, who is asked for by name."""
    bounds = [name for name, at in (("--since", scope.since), ("--until", scope.until)) if at is not None]
    if not bounds or scope.user is not None:
        return ""
    return f"{' and '.join(bounds)} of this {verb} bound it alone: the next backfill also reads what they leave out"


def _within(context: Context, here: Beginning | None) -> Context:
    return replace(context, scope=replace(context.scope, start=here.at if here else None))


def _resolved(context: Context, here: Beginning | None) -> Checkpoint | None:
    """So long ago, as the configuration says it, is counted from the first backfill, not from each one again."""
    if here is None or not here.by_config or not is_ago(here.words):
        return None
    kept = context.state.get(BEGINNING).get("config", {})
    return (
        None
        if kept.get("words") == here.words
        else Checkpoint(BEGINNING, {"config": {"words": here.words, "at": here.at}})
    )


def _left_out(here: Beginning | None, scope: Scope) -> str:
    if here is not None and scope.since is not None and scope.since < here.at:
        return f"{here}; to take them in: {here.earlier}"
    return alone("backfill", scope)


def _refuse_earlier(here: Beginning, scope: Scope) -> None:
    if scope.since is not None and scope.since < here.at:
        raise UsageError(
            f"--since {scope.words or scope.since} is earlier than where the board begins: {here}", hint=here.earlier
        )


def _is_choice(context: Context, here: Beginning | None) -> bool:
    """Whether `--since` says where the board begins: nothing is counted yet, it is earlier, or it says so once more."""
    scope = context.scope
    if here is None or scope.since is None:
        return not _is_begun(context)
    once_more = scope.since == here.at or scope.words == here.words
    return once_more or (not here.by_config and (scope.since < here.at or not _is_filled(context)))


def _is_begun(context: Context) -> bool:
    """Whether any source was read, or begun to be read, to its end."""
    return any(context.state.watermark(source.name) for source in context.config.sources)


def _is_filled(context: Context) -> bool:
    rows: list[Document] = [context.state.watermark(source.name) for source in context.config.sources]
    return all(row.get("value") is not None for row in rows)
