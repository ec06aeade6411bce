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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.ledger import rollup, walk
from lbmigrate.ledger.enter import enter
from lbmigrate.ledger.events import keep_rejects
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.live.recorder import named_as_its_source
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Counts, Document, Piece, Reject, Work
from lbmigrate.rules.event import constant_points, former_ids, live_event, source_of
from lbmigrate.run.context import Context
from lbmigrate.telling.foreign import plain
from lbmigrate.values.coerce import as_time
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import id_type, parse_id

if TYPE_CHECKING:
    import redis

WORK = Work("boards persist")
GROUP = "lbmigrate"
AT_ONCE = 500  # actions
ABANDONED_MS = 60_000  # what another process took so long ago and did not acknowledge is taken over

Action = tuple[str, Mapping[str, str]]  # its place in the stream, and what the app wrote


def pieces(context: Context, client: redis.Redis, stream: str) -> Iterator[Piece]:
    """Record the actions of the stream until none is left: batch by batch, each acknowledged when it is durable."""
    one_type, done = OneUserType(context), 0
    for batch in _batches(client, stream, context.run, context.stopping):
        counts = _record(context, one_type, batch)
        # Only now: whoever is killed before this reads the batch again, and finds its events there.
        places = [place for place, _ in batch]
        client.xack(stream, GROUP, *places)
        client.xdel(stream, *places)
        done += len(batch)
        yield Piece(stream, done, unit="actions", counts=counts)
    yield Piece(stream, done, done, unit="actions")


def _batches(client: redis.Redis, stream: str, consumer: str, stopping: Callable[[], bool]) -> Iterator[list[Action]]:
    """First what others took and abandoned, then what nobody has taken."""
    _begin_group(client, stream)
    start = "0-0"
    while not stopping():
        start, found, *_ = client.xautoclaim(stream, GROUP, consumer, ABANDONED_MS, start, count=AT_ONCE)
        if found:
            yield list(map(_action, found))
        if start in (b"0-0", "0-0"):
            break
    while not stopping():
        read: Any = client.xreadgroup(GROUP, consumer, {stream: ">"}, count=AT_ONCE)
        if not read:
            return
        yield list(map(_action, read[0][1]))


def _begin_group(client: redis.Redis, stream: str) -> None:
    try:
        client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    except Exception as error:
        if "BUSYGROUP" not in str(error):  # it is there already
            raise


def _action(found: tuple[bytes, Mapping[bytes, bytes] | None]) -> Action:
    place, fields = found
    words = {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in (fields or {}).items()
    }
    return place.decode(), words


def _record(context: Context, one_type: OneUserType, batch: Sequence[Action]) -> Counts:
    """Enter the events of some actions and roll up their users; what cannot be an event is a reject."""
    leavers = Leavers(context.state)
    events: dict[str, list[Document]] = {}
    rejected: dict[str, list[Reject]] = {}
    for place, words in batch:
        source = context.config.sources[0]
        try:
            source = source_of(context.config, words.get("action", ""))
            event = _event(context, one_type, words)
            if event["userId"] not in leavers:
                events.setdefault(source.name, []).append(event)
        except LbmigrateError as error:
            told = f"action {place} of the stream: {plain(error)}"
            rejected.setdefault(source.name, []).append(Reject(words.get("source") or place, told))
    counts = Counts(read=len(batch), skipped=len(batch))
    for source in context.config.sources:
        counts += _entered(context, source.name, events.get(source.name, []), rejected.get(source.name, []))
    return counts


def _entered(context: Context, name: str, events: list[Document], rejects: list[Reject]) -> Counts:
    source = next(each for each in context.config.sources if each.name == name)
    done = enter(context, source, events, former_ids(source.action, [event["sourceId"] for event in events]))
    keep_rejects(context, source, [*rejects, *done.rejects])
    # Also those whose events were there: whoever inserted them may have died before this.
    for users in walk.selections(list({event["userId"]: None for event in events})):
        retrying(lambda users=users: rollup.roll_up(context, users))  # type: ignore[misc]
    new, odd = len(done.new), len(rejects) + len(done.rejects)
    known = len(events) - new - len(done.rejects)
    return Counts(emitted=new, duplicates=known, rejected=odd, skipped=-len(events) - len(rejects))


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
