"""What an app calls: is the leaderboard on, and this action has just happened.

A recorder scores by the configuration of the backfill and inserts the very event that the backfill would: whoever comes
second finds it there. What a crash, an outage or an error leaves out, the next incremental backfill adds.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from lbmigrate.config.model import Config, Source
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.ledger import emit, rollup, walk
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.enter import enter_one
from lbmigrate.ledger.first_look import first_look
from lbmigrate.ledger.fold_newest import fold_newest
from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.ledger.one_wait import OneWait
from lbmigrate.ledger.settle import Found, fix
from lbmigrate.ledger.undone import action_of, settle_documents
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.live.cache import Recall
from lbmigrate.live.flag_cache import as_ours, flag, log
from lbmigrate.live.folding import Folding
from lbmigrate.live.naming import named_as_its_source
from lbmigrate.live.patience import Late, Patience, Turns
from lbmigrate.live.settling import Settling
from lbmigrate.passes.beginning import within
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Document
from lbmigrate.rules.event import (
    check_source_id,
    constant_points,
    live_event,
    live_id,
    source_named,
    source_of,
)
from lbmigrate.run.context import Clock, Context, utc_now
from lbmigrate.state import State
from lbmigrate.telling.foreign import plain, trace
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import parse_id


class ScoreRecorder:
    """Records live actions in the ledger and on the board, while the flag's `write` is on. Safe to share by threads.

    `sources` is the database of the app's own collections, by default the same. What goes wrong is logged, counted in
    `failures`, and never disturbs the app; `strict` raises it. An action may take `budget` seconds, by default
    `live.budget` of the configuration; what the database is too late for, or no majority has by then, is counted in
    `left` as well, and the next backfill adds it. Meanwhile no further action waits. However the client is set up, the
    primary is asked. Actions ahead of the clock by more than `backfill.future` are kept, but logged and counted in
    `ahead`; by more than `backfill.future_limit`, refused. After a fork, make a client and a recorder again.
    """

    def __init__(
        self,
        database: Database[Any],
        config: Config,
        *,
        sources: Database[Any] | None = None,
        strict: bool = False,
        budget: float | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        target = as_ours(database)
        home = target if sources is None else as_ours(sources)
        state = State(target.client[config.state.database or target.name])
        self._context = Context(config, home, target, state, run="live", clock=clock, live=True)
        self._flag = flag(database, config, monotonic)
        self._strict = strict
        self._patience = Patience(config.live.budget.total_seconds() if budget is None else budget, monotonic)
        self._turns = Turns(self._patience.budget)
        self._counting = threading.Lock()
        self._one_type: OneUserType | None = None
        self._recall, self._folding = Recall(), Folding(self._context, monotonic)
        self._settling, self._one_wait = Settling(self._context), OneWait(self._context)
        self.failures = self.left = self.ahead = 0

    def record(
        self,
        action_type: str,
        user_id: Any,
        source_id: Any,
        points: int | None = None,
        at: dt.datetime | None = None,
        meta: Mapping[str, Any] | None = None,
        *,
        undo: bool = False,
    ) -> bool:
        """Record that a user has just done something; True if that is new, and now on the board.

        Where the connection breaks just then, and the event is there, nobody knows whether it is new: False.

        With `undo` it is taken back: True if it counted until now. Of the rest only the action and the document matter
        then. What is recorded again after that counts again if its document does.

        `action_type` is the action of a source, and `source_id` the `_id` of the document that tells of it: together
        they name the event. `points` may be left out where every document of the action is worth the same. `at` (naive
        is UTC) is now unless given: give it what the document says, for that is what the backfill would say.
        """

        def work() -> bool:
            config, now = self._context.config, self._context.clock()
            source = source_of(config, action_type)
            if undo:
                return self._undo(source, named_as_its_source(self._context, source, source_id))
            worth = constant_points(config, action_type) if points is None else points
            name = named_as_its_source(self._context, source, source_id)
            latest = config.backfill.latest(now)
            return self._insert(source, live_event(source, user_id, name, worth, at or now, meta or {}, latest), now)

        return self._guarded(work)

    def record_source(self, source_name: str, document_or_id: Any) -> bool:
        """Record a document of a source, or its elements, as it stands; True if that changes what is on the board.

        It is read again and scored as the backfill does it, and left out if it does not meet the source's `where`, or
        happened before the board begins. What it counted for until now, and does no more, is taken back.
        """
        return self._guarded(lambda: self._emit(source_name, document_or_id))

    def _guarded(self, work: Callable[[], bool]) -> bool:
        try:
            with self._patience.spent():
                new = work() if self._flag.write else self._unknown()
            if new:
                self._settling.recorded()
            return new
        except Exception as error:  # whatever it is: the app's own action has happened
            with self._counting:
                self.failures += 1
                self.left += isinstance(error, Late)
            if self._strict:
                raise
            self._tell(error)
            return False

    def _unknown(self) -> bool:
        """Nothing is recorded while the flag is off, also where it only counts as off: it may be on all the same."""
        if self._flag.unread:
            raise Late("the flag cannot be read, so it counts as off", hint="lbmigrate doctor")
        return False

    def _tell(self, error: Exception) -> None:
        if isinstance(error, Late):
            if self._patience.may_tell():
                told = "actions are left to the next backfill, %s so far: %s"
                log.warning(told, f"{self.left:,}", hidden(plain(error)))
            return
        expected = isinstance(error, LbmigrateError | PyMongoError)
        told = plain(error) if expected else f"{plain(error)}\n{trace(error)}"
        log.warning("an action was not recorded; the next backfill does it: %s", hidden(told))

    def _insert(self, source: Source, event: Document, now: dt.datetime) -> bool:
        self._types().check([event], source)
        if event["createdAt"] > now + self._context.config.backfill.future:
            self._tell_ahead(1, f"{event['_id']} is {event['createdAt'] - now} ahead of this host's clock")
        with self._turns.of(event["userId"]):
            leavers = first_look(self._context, looked := self._folding.begun(), [event])
            if event["userId"] in leavers:
                return False
            written = self._one_wait.write(source, looked, event) if looked else None
            return self._enter(source, event, looked, leavers.fence) if written is None else written

    def _enter(self, source: Source, event: Document, looked: LookedAt | None, fence: int | None) -> bool:
        known = self._recall.of(event["userId"], fence)
        added = enter_one(self._context, source, event, *([looked.look] if looked else []))
        if looked:
            looked.take([event], [event] if added else [])
        restored = not added and self._settle(source, [event["sourceId"]], undone=True).adjusted > 0
        if looked is None or fold_newest(self._context, looked):
            # Also when it was there already: whoever inserted it may have died before this.
            ledger = self._recall.ledger(event, added, known, fence)
            rollup.roll_up(self._context, {"$in": [event["userId"]]}, ledger)
        return added or restored

    def _emit(self, name: str, given: Any) -> bool:
        source = source_named(self._context.config, name)
        key = given.get("_id") if isinstance(given, Mapping) else given
        if key is None:
            raise UsageError(f"record_source({name!r}) needs a document with an _id, or an _id")
        check_source_id(key)
        condition = {"_id": {"$in": parse_id(key) if isinstance(key, str) else [key]}}
        looked = self._folding.begun()
        done = emit.emit(within(self._context), source, condition, Seen.NEVER, self._types(), looked)
        is_new = done.counts.emitted == done.counts.read == 1 and not source.unwind
        settled = Found() if is_new else self._settle(source, condition["_id"]["$in"], done.worth)
        self._roll_up(
            fold_newest(self._context, looked, settled.users) if looked else [*done.touched(), *settled.users]
        )
        if done.counts.future:
            self._tell_ahead(done.counts.future, f"{name}: {excerpt(key)} is well ahead of this host's clock")
        if done.counts.rejected:
            raise LbmigrateError(f"{name}: {excerpt(key)} cannot be scored", hint="lbmigrate rejects")
        return done.counts.emitted + settled.adjusted > 0

    def _settle(
        self, source: Source, ids: Sequence[Any], worth: Mapping[str, Document] | None = None, *, undone: bool = False
    ) -> Found:
        """Put right what the ledger has of these documents, unless other rules are in force than it was scored by.

        With `undone` only what was taken back.
        """
        if changed_rules(self._context):
            return Found()
        action = action_of(self._context, source)
        return settle_documents(self._context, action, ids, self._types(), worth, tried=not undone, undone=undone)

    def _undo(self, source: Source, name: Any) -> bool:
        base = live_id(source, name)
        found = fix(self._context, action_of(self._context, source), [base], self._types(), lambda *_: {})
        self._roll_up(list(found.users))
        return found.adjusted > 0

    def _roll_up(self, users: list[Any]) -> None:
        for some in walk.selections(users):
            with self._turns.of(users[0]):
                rollup.roll_up(self._context, some)

    def _tell_ahead(self, count: int, told: str) -> None:
        with self._counting:
            self.ahead += count
        log.warning("%s", plain(told))

    def _types(self) -> OneUserType:
        if self._one_type is None:
            self._one_type = OneUserType(self._context, sample=1)  # the app is waiting
        return self._one_type
