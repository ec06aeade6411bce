"""Following the sources: what changes is scored at once, by reading it again, and is on the board within a second.

The state's row `tail` says how far this has come. Its resume token moves only when everything before it is in the
ledger and rolled up: whoever is killed does the last batch again, and nothing counts twice. The tail never moves a
watermark, so what it has missed (before it began, or because the server's history is too short) a backfill finds.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from lbmigrate.backfill import isolate
from lbmigrate.config.model import Source
from lbmigrate.errors import Refused
from lbmigrate.ledger import rollup, walk
from lbmigrate.ledger.binding import identities
from lbmigrate.ledger.budget import MANY, Budget
from lbmigrate.ledger.emitted import Emitted
from lbmigrate.ledger.fold_newest import fold_newest
from lbmigrate.ledger.settle import Action, Found, actions
from lbmigrate.ledger.undone import held_back, settle_documents
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.live import changes
from lbmigrate.live.changes import Batch, Stream
from lbmigrate.live.flag_cache import Flag
from lbmigrate.live.folding import Folding
from lbmigrate.live.gaps import ROW, gap, passes
from lbmigrate.live.reading import Reader
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.mongo.faults import is_transient
from lbmigrate.passes.beginning import within
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Checkpoint, Counts, Document, Piece, Work
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.id_text import id_text

WORK = Work(ROW)
HEARTBEAT = 2.0  # seconds between two signs of life while nothing changes
HOLD = 1.0  # seconds between two looks at a flag that is off
ON = "lbmigrate flag write on"
BACKFILL = "schedule lbmigrate backfill for it, as jobs/ shows"
FAILURES = 5  # in a row, after which a server that does not answer ends the tail


class Tail:
    """Follows the sources from where the last tail stopped; the first of all from now on."""

    def __init__(self, context: Context, flag: Flag, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context, self._flag, self._monotonic = context, flag, monotonic
        self._collections = {source.collection for source in context.config.sources}
        self._one_type, self._folding = retrying(lambda: OneUserType(context)), Folding(context, monotonic)
        self._kept = context.state.get(ROW)  # and from here on what is to be kept
        if (self._kept.get("missed") or {}).get("passes", {}) is None:  # a gap that only a new stream ends
            self._kept["token"] = None
        self._beat = float("-inf")

    def follow(self) -> Iterator[Piece]:
        """Batch after batch, durable and rolled up, until a stop is asked for; each one's checkpoint is to be saved.

        While the flag's `write` is off it holds, and goes on where it was. However short its time is, it begins: what
        follows is found from there on. Raises Refused on a standalone server, and where no source has a change stream.
        """
        yield from self._not_followed()
        failures, begins = 0, not self._kept.get("token")
        while begins or not self._context.stopping():
            begins = False
            try:
                for piece in self._streamed() if self._flag.write else self._hold():
                    failures = 0
                    yield piece
            except changes.Ended:
                if EVENTS not in identities(self._context.target):
                    raise
                yield self._lost("the database was dropped and made again: changes {} were not followed")
            except OperationFailure as error:
                if error.code not in changes.HISTORY_LOST | changes.TOO_LARGE:
                    raise
                does_not = "show" if error.code in changes.TOO_LARGE else "remember"
                yield self._lost(f"the server does not {does_not} the changes {{}}, so they were not followed")
            except PyMongoError as error:
                failures += 1
                if not is_transient(error) or failures == FAILURES:
                    raise
                yield Piece(ROW, warning=f"the server does not answer, trying again: {hidden(str(error))}"[:200])
                self._context.stop.wait(failures)
        yield self._piece(stoppedAt=server_time(self._context.sources))  # asked for: nobody need be woken

    def _not_followed(self) -> Iterator[Piece]:
        """Sources whose changes no server tells of: nobody is to take silence for nothing new."""
        silent = changes.without_stream(self._context.sources, self._collections)
        told = (
            f"{' and '.join(silent)} {'is a view' if len(silent) == 1 else 'are views'}, which no change stream follows"
        )
        if silent and set(silent) == self._collections:
            raise Refused(f"{told}: there is nothing to follow", BACKFILL)
        if silent:
            yield Piece(ROW, warning=f"{told}; next: {BACKFILL}")

    def _hold(self) -> Iterator[Piece]:
        if self._is_time():
            yield self._piece(held="the flag's write is off")
        self._context.stop.wait(HOLD)

    def _streamed(self) -> Iterator[Piece]:
        """As long as the stream is good and the flag is on."""
        with changes.watch(self._context.sources, self._collections, self._kept.get("token")) as stream:
            if not self._kept.get("token"):
                yield self._begun(stream)
            with Reader(stream) as reader:
                yield from self._read(reader)

    def _read(self, reader: Reader) -> Iterator[Piece]:
        while not self._context.stopping():
            batch, token = reader.taken()
            if not self._flag.write:  # the batch is read again when it is on
                return
            if batch.newest is not None:
                yield from self._recorded(batch, token)
            elif self._is_time():
                yield self._idle(token)

    def _begun(self, stream: Stream) -> Piece:
        """The stream is open: what came before is found by a pass that is opened from here on."""
        missed = {"since": None, "full": False, **(self._kept.get("missed") or {})}
        missed["passes"] = passes(self._context.state, self._context.config)
        return self._piece(token=stream.resume_token, missed=missed, note="following from now on")

    def _lost(self, told: str) -> Piece:
        since: dt.datetime | None = self._kept.get("reached")
        missed = {"full": False, **(self._kept.get("missed") or {}), "since": since, "passes": None}
        when = f"since {since:%Y-%m-%dT%H:%M:%SZ}" if since else "before now"
        warning = f"{told.format(when)}; next: lbmigrate backfill"
        return self._piece(token=None, missed=missed, warning=warning)

    def _recorded(self, batch: Batch, token: Mapping[str, Any] | None) -> Iterator[Piece]:
        done, held = self._emit(batch)
        if held:
            yield Piece(ROW, warning=held)
        for name in self._collections.intersection(batch.replaced):
            seen = passes(self._context.state, self._context.config)
            told = f"{name} was replaced by a rename, which names no document; next: lbmigrate backfill --full"
            yield self._piece(missed={"since": batch.newest, "full": True, "passes": seen}, warning=told)
        changed = self._kept.get("changes", 0) + batch.size
        yield self._piece(
            done.counts,
            changed,
            token=token,
            reached=batch.newest,
            lag=self._behind(batch.newest),
            changes=changed,
            events=self._kept.get("events", 0) + done.counts.emitted,
            deletes=self._kept.get("deletes", 0) + batch.deletes,
        )

    def _emit(self, batch: Batch) -> tuple[Emitted, str]:
        """What came of the changed documents, and what was not taken back of them."""
        done, context = Emitted(), within(self._context)
        looked = self._folding.begun()
        for source in context.config.sources:
            done += isolate.emit_listed(context, source, self._one_type, batch.ids(source.collection), looked)
        new = looked.events() if looked else []
        settled = [] if changed_rules(self._context) else retrying(partial(self._settle, batch, done, new))
        others = [user for _, found in settled for user in found.users]
        left = fold_newest(context, looked, others) if looked else [*done.touched(), *others]
        for users in walk.selections(left):
            retrying(partial(rollup.roll_up, self._context, users))
        return done, "; ".join(told for source, found in settled if (told := held_back(source, found.held)))

    def _settle(self, batch: Batch, done: Emitted, new: Sequence[Document]) -> list[tuple[Source, Found]]:
        """Take back or put right what the ledger has of changed documents, and of those that are gone.

        Of a document whose first event is new, it has nothing else.
        """
        budget = Budget(self._context, MANY)  # of this batch: what an app does by and by it may do
        found, takes_back = [], self._context.config.live.deleted == "take_back"
        for action in actions(self._context.config):
            source = action.sources[0]
            known = _first_of(action, new)
            touched = batch.touched(source.collection, gone=takes_back, but=known)
            part = settle_documents(
                self._context, action, touched, self._one_type, done.worth, tried=True, budget=budget
            )
            found.append((source, part))
        return found

    def _idle(self, token: Mapping[str, Any] | None) -> Piece:
        """Nothing changed, but the token grows older where other collections do."""
        if self._kept.get("missed") and gap(self._context.state, self._context.config) is None:
            note = "a backfill has found what was missed"
            return self._piece(note=note, token=token, lag=0.0, missed=None)
        return self._piece(token=token, lag=0.0)

    # --- what is kept --------------------------------------------------------------------------------------------

    def _is_time(self) -> bool:
        return self._monotonic() - self._beat >= HEARTBEAT

    def _behind(self, newest: dt.datetime | None) -> float:
        now = server_time(self._context.sources)
        return max(0.0, round((now - newest).total_seconds(), 3)) if newest else 0.0

    def _piece(
        self, counts: Counts | None = None, changed: int = 0, note: str = "", warning: str = "", **kept: Any
    ) -> Piece:
        now = server_time(self._context.sources)
        kept = {"held": None, "stoppedAt": None, "at": now, **({"reached": now} if "token" in kept else {}), **kept}
        self._kept |= kept
        self._beat = self._monotonic()
        held = kept["held"] or ""
        saved = Checkpoint(ROW, kept)
        return Piece(ROW, changed, None, "changes", False, counts, saved, note, warning, held, "flag", ON)


def _first_of(action: Action, new: Iterable[Document]) -> list[Any]:
    """The ids of those documents whose only events are among these new ones."""
    if len(action.sources) > 1 or action.sources[0].unwind:
        return []
    ids = (event["sourceId"] for event in new if event["actionType"] == action.name)
    names = {event["_id"] for event in new}
    return [each for each in ids if f"{action.name}:{id_text(each)}" in names]
