"""The verb that follows: what the app writes is on the board within a second, whatever language it is written in."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Annotated

import pymongo
import typer
from pymongo.errors import PyMongoError

from lbmigrate.checks import server
from lbmigrate.checks.finding import refuse
from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.cli.running import Terms, climb
from lbmigrate.errors import Locked, Refused
from lbmigrate.live.flag_cache import flag
from lbmigrate.live.tail import Tail, gap
from lbmigrate.migration import runner
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Checkpoint, Counts, Piece, amount
from lbmigrate.run.connection import Session
from lbmigrate.run.context import Context, Scope
from lbmigrate.run.stop import Brake
from lbmigrate.state import FOLLOWING, Lease

TRY_AGAIN = 10.0  # seconds between two attempts at a backfill while another run holds the lock
TOLD = 10.0  # seconds between two lines about what was followed

app = typer.Typer()


@verb(app)
def tail(
    desk: Desk,
    heal: Annotated[
        bool, typer.Option("--heal", envvar="LBMIGRATE_HEAL", help="Backfill what a lost history did not tell.")
    ] = False,
    max_runtime: Annotated[
        str | None, typer.Option(envvar="LBMIGRATE_MAX_RUNTIME", help="Follow for this long, such as 12h; exits 0.")
    ] = None,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Follow what the app writes and record it at once, for apps that are not written in Python."""
    again = shlex.join(["lbmigrate", *sys.argv[1:]])
    with desk.connected() as session:
        limits = options.limits(session.config, max_runtime, None, None)
        terms = options.terms(lock_ttl, wait_lock, limits)
        if session.is_virgin():
            raise Refused(f"there is no leaderboard in {session.target.name} yet", hint="lbmigrate run")
        brake = Brake(limits)
        context = session.context(run=runner.new_run(), live=True, brake=brake)
        refuse(server.check_everything(context))
        lease = session.lease(again, terms.lock_ttl, terms.wait_lock, FOLLOWING)
        with _alone(lease), desk.heeding_signals(brake):
            counts = _Follower(desk, session, context, lease, replace(terms, wait_lock=0.0), heal).follow()
        if brake.signal is not None:  # the end of --max-runtime is what was asked for
            brake.release(again)
    desk.console.result({"verb": "tail", "counts": asdict(counts)})


@contextmanager
def _alone(lease: Lease) -> Iterator[None]:
    lease.take()
    lease.keep()
    try:
        yield
    finally:
        with suppress(PyMongoError), pymongo.timeout(runner.LAST_WORDS):
            lease.release()


@dataclass(slots=True)
class _Follower:
    """Saves every batch's checkpoint, tells what was followed, and backfills what the tail missed, when it may."""

    desk: Desk
    session: Session
    context: Context
    lease: Lease
    terms: Terms
    heal: bool
    counts: Counts = field(default_factory=Counts)
    untold: Counts = field(default_factory=Counts)
    told: float = 0.0
    tried: float = float("-inf")
    said: str = ""

    def follow(self) -> Counts:
        """Until a stop is asked for; what became of the documents that changed."""
        switch = flag(self.session.target, self.session.config)
        for piece in Tail(self.context, switch).follow():
            self._save(piece)
            self._tell(piece)
            if time.monotonic() - self.tried >= TRY_AGAIN and not piece.held:
                self._catch_up()
                self.tried = time.monotonic()
        return self.counts

    def _save(self, piece: Piece) -> None:
        if isinstance(piece.checkpoint, Checkpoint):
            self.lease.check()
            retrying(partial(self.context.state.note, piece.checkpoint.row, **piece.checkpoint.fields))

    def _tell(self, piece: Piece) -> None:
        self.counts += piece.counts
        self.untold += piece.counts
        if piece.warning:
            self.desk.console.warning(piece.warning)
        self._say(f"held: {piece.held}" if piece.held else piece.note)
        if self.untold.read and time.monotonic() - self.told >= TOLD:
            known = self.untold.duplicates
            self.desk.console.note(f"{amount(self.untold.emitted, 'new event')}, {known:,} known already")
            self.told, self.untold = time.monotonic(), Counts()

    def _say(self, words: str) -> None:
        """What was said last need not be said again."""
        if words and words != self.said:
            self.desk.console.note(words)
            self.said = words

    def _catch_up(self) -> None:
        """Backfill what happened before the stream was open, and with `--heal` what a lost history did not tell."""
        missed = gap(self.context.state, self.context.config)
        if missed is None or (missed.since is not None and not self.heal):
            return
        if any(self.context.state.watermark(name).get("value") is None for name in missed.sources):
            self._say("the history is not backfilled yet; next: lbmigrate run")
            return
        context = self.session.context(scope=Scope(full=missed.full))
        try:
            climb(self.desk, self.session, [STEPS[3]], context, "tail", self.terms)
        except Locked as error:
            self._say(f"{error.message}; what was missed is backfilled after it")
