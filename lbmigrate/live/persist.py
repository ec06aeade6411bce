"""What an app scored into Redis first becomes events.

The app adds to a sorted set, so that the board moves at once, and in the same transaction appends the action to a
stream beside it, with what `ScoreRecorder.record` wants to know:

    XADD lb:actions * action task_complete user 6b07… source 6b08… at 2025-11-04T09:30:00Z

`points` and `meta` (as JSON) may be there too. An action is acknowledged only when its event is durable. Killed in
between it is read again, and its event is found: the `_id` of an event names the action, so that it counts once. The
roll-up then publishes the score of the ledger over that of the app.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.board.actions import Action, Actions
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.ledger import boards_anew, rejects, rollup, walk
from lbmigrate.ledger.enter import enter
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.live.naming import named_as_its_source
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Counts, Document, Piece, Work, amount
from lbmigrate.rules.event import constant_points, former_ids, live_event, source_of
from lbmigrate.run.context import Context
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.coerce import as_time
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import id_type, parse_id

WORK = Work("boards persist")


def pieces(context: Context, actions: Actions) -> Iterator[Piece]:
    """Record the actions of the stream until none is left: batch by batch, each acknowledged when it is durable."""
    one_type, done = OneUserType(context), 0
    for batch in actions.batches(context.run, context.stopping):
        counts, refused = _record(context, one_type, batch)
        # Only now: whoever is killed before this reads the batch again, and finds its events there.
        actions.acknowledge(batch, refused)
        done += len(batch)
        yield Piece(actions.key, done, unit="actions", counts=counts, warning=_set_aside(actions, refused))
    yield Piece(actions.key, done, done, unit="actions")


def _set_aside(actions: Actions, refused: Mapping[str, str]) -> str:
    if not refused:
        return ""
    first = next(iter(refused.values()))
    return f"{amount(len(refused), 'action')} can be no event, and wait in {actions.refused}: {first}"


def _record(context: Context, one_type: OneUserType, batch: Sequence[Action]) -> tuple[Counts, dict[str, str]]:
    """Enter the events of some actions and roll up their users; with the reasons of those that can be no event."""
    leavers = Leavers(context.state)
    events: dict[str, list[Document]] = {}
    refused: dict[str, str] = {}
    gone: list[Any] = []
    for action in batch:
        try:
            source = source_of(context.config, action.words.get("action", ""))
            event = _event(context, one_type, action.words)
        except LbmigrateError as error:
            refused[action.place] = hidden(plain(error))
            continue
        if event["userId"] in leavers:
            gone.append(event["userId"])
        else:
            events.setdefault(source.name, []).append(event)
    if gone and (boards := boards_anew.boards_of(context)):
        boards.leave(gone)  # the app has put them on again
    counts = Counts(read=len(batch), skipped=len(batch) - len(refused), rejected=len(refused))
    for source in context.config.sources:
        counts += _entered(context, source, events.get(source.name, []))
    return counts, refused


def _entered(context: Context, source: Source, events: list[Document]) -> Counts:
    done = enter(context, source, events, former_ids(source.action, [event["sourceId"] for event in events]))
    rejects.keep(context, source, done.rejects)
    # Also those whose events were there: whoever inserted them may have died before this.
    for users in walk.selections(list({event["userId"]: None for event in events})):
        retrying(lambda users=users: rollup.roll_up(context, users))  # type: ignore[misc]
    new, odd = len(done.new), len(done.rejects)
    return Counts(emitted=new, duplicates=len(events) - new - odd, rejected=odd, skipped=-len(events))


def _event(context: Context, one_type: OneUserType, words: Mapping[str, str]) -> Document:
    config, now = context.config, context.clock()
    source = source_of(config, words.get("action", ""))
    user = _user(one_type, words.get("user", ""))
    key = named_as_its_source(context, source, words.get("source") or None)
    points = _points(words["points"]) if "points" in words else constant_points(config, source.action)
    event = live_event(source, user, key, points, _time(words, now), _meta(words), config.backfill.latest(now))
    one_type.check([event], source)
    return event


def _user(one_type: OneUserType, text: str) -> Any:
    """The id that a text stands for, of the type that the ledger has."""
    forms = parse_id(text)
    return next((form for form in forms if id_type(form) in one_type.kinds), forms[-1])


def _points(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or len(text) > 20:
        raise UsageError(f"points must be a whole number, not {excerpt(text)}")
    return int(text)


def _time(words: Mapping[str, str], now: dt.datetime) -> dt.datetime:
    if "at" not in words:
        return now
    moment = as_time(words["at"], ZoneInfo("UTC"))
    if moment is None:
        raise UsageError(f"at must be a time such as 2025-11-04T09:30:00Z, not {excerpt(words['at'])}")
    return moment


def _meta(words: Mapping[str, str]) -> dict[str, Any]:
    try:
        meta = json.loads(words.get("meta", "{}"))
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise UsageError(f"meta must be a JSON object, not {excerpt(words['meta'])}")
    return meta
