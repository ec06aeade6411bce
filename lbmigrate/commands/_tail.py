"""The verb that follows the app's changes: tail, and the backfills of what it missed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lbmigrate.checks.finding import refuse
from lbmigrate.checks.server import check_everything
from lbmigrate.errors import Locked, Refused, WorkRemains
from lbmigrate.ledger import binding
from lbmigrate.ledger.binding import Loss
from lbmigrate.live.flag_cache import flag
from lbmigrate.live.gaps import ROW, gap
from lbmigrate.live.tail import WORK, Tail
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import BACKFILL
from lbmigrate.records import Counts, Piece
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context, Scope
from lbmigrate.state import FOLLOWING

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

BEARS = frozenset({Loss.SOME_ENTRIES})  # which the next backfill heals
TRY_AGAIN = 10.0  # seconds between two attempts at a backfill while another run holds the lock


def tail(where: Config | Connection, *, heal: bool = False, terms: Terms = Terms()) -> Counts:
    """Follow what the app writes and record it at once, until a stop is asked for; what became of the changes.

    What happened before the stream was open is backfilled; with `heal` also what an expired oplog does not tell.
    Reaching the time limit of `terms.stop` is a good end. Raises Refused on a server without change streams.
    """
    with opened(where) as connection:
        connection.refuse_untouched(Refused)
        refuse(check_everything(connection.context(), "tail"))
        with runner.started(connection, "tail", terms, row=FOLLOWING, bears=BEARS, live=True) as driver:
            again = replace(terms, wait_lock=0.0, stop=driver.context.stop)
            follower = _Follower(connection, driver.context, again, heal)
            counts = driver.carry_out(WORK, follower.pieces())
    return counts if isinstance(counts, Counts) else Counts()


@dataclass(slots=True)
class _Follower:
    """Every batch of changes, and between two of them, when it is time and the lock is free, what the tail missed."""

    connection: Connection
    context: Context
    terms: Terms
    heal: bool
    monotonic: Callable[[], float] = time.monotonic
    tried: float = float("-inf")

    def pieces(self) -> Iterator[Piece]:
        switch = flag(self.connection.target, self.connection.config)
        for piece in Tail(self.context, switch).follow():
            yield piece
            if self.monotonic() - self.tried >= TRY_AGAIN and not self.context.stopping():
                binding.check(self.context, BEARS)  # the ledger may go while it is followed
                if not piece.held:
                    yield from self._catch_up()
                self.tried = self.monotonic()

    def _catch_up(self) -> Iterator[Piece]:
        missed = gap(self.context.state, self.context.config)
        if missed is None or (missed.since is not None and not self.heal):
            return
        if any(self.context.state.watermark(name).get("value") is None for name in missed.sources):
            yield Piece(ROW, note="the history is not backfilled yet; next: lbmigrate run")
            return
        # The command, the stop and the listener are those of the tail: it is one thing that an operator started.
        try:
            scope = Scope(full=missed.full)
            with runner.started(self.connection, "tail", self.terms, bears=None, scope=scope) as driver:
                driver.apply([BACKFILL])
        except Locked as error:
            yield Piece(ROW, note=f"{error.message}; what was missed is backfilled after it")
        except WorkRemains:  # the time is up; the next tail goes on with it
            return
