"""A run: it holds the lease from its first write to its last, and is on record whatever becomes of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

import pymongo
from pymongo.errors import PyMongoError

from lbmigrate.checks import rights
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import binding, bound
from lbmigrate.ledger.binding import Loss
from lbmigrate.migration.account import Account
from lbmigrate.migration.announced import Announced, ended_by
from lbmigrate.migration.driver import Driver, Guard, unguarded
from lbmigrate.passes.changed import ORDER, drift
from lbmigrate.records import Checkpoint, Document, Listener, Piece, Work, ignore
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Context
from lbmigrate.run.garbage import collecting_seldom
from lbmigrate.run.pace import Pace
from lbmigrate.run.stop import Stop
from lbmigrate.state import LOCK, Lease
from lbmigrate.state.cleaning import clear_secrets
from lbmigrate.state.operator import operator
from lbmigrate.state.repair import repair
from lbmigrate.state.statuses import RunStatus
from lbmigrate.telling.secrets import hidden
from lbmigrate.values import formula
from lbmigrate.workers import crew
from lbmigrate.workers.executor import Executor
from lbmigrate.workers.joining import marks

STATE = Work("the state's rows")
RULES = Work("the configuration")
SETTLES = "reconcile"  # the verb that settles a configuration that has changed
LAST_WORDS = 2.0  # seconds for them, if the server is gone


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a run is started.

    `lock_ttl` and `wait_lock` are seconds: how long the lease lasts without renewal, and how long to wait for it.
    `workers` are threads, by default those of the configuration. `stop` carries the limits, and ends the run early.
    `executor` says where the work is done: in these threads, in as many processes, or by a Dask cluster,
    that of `scheduler` or one of this host.
    `listen` hears every report. `command` is what the records say was typed, and what goes on with the run.
    """

    lock_ttl: float = 60.0
    wait_lock: float = 0.0
    workers: int | None = None
    executor: Executor = Executor.THREADS
    scheduler: str | None = None
    stop: Stop | None = None
    listen: Listener = ignore
    command: str = ""


@contextmanager
def started(
    where: Connection,
    verb: str,
    terms: Terms,
    *,
    row: str = LOCK,
    guard: Guard = unguarded,
    bears: Container[Loss] | None = (),
    **chosen: object,
) -> Iterator[Driver]:
    """A run that is on record and under the lease of `row`; yields what drives its work.

    `chosen` are further fields of its context. Raises Locked when another run holds the lease; then nothing is written.
    Raises Refused where the state and the ledger have come apart in a way that the verb does not bear (`binding`); with
    None its steps see to that.
    Ends in Stopped or WorkRemains when something ended it early; beside the runs (another `row`) a limit is a good end.
    """
    command, stop = terms.command or f"lbmigrate {verb}", terms.stop or Stop()
    workers = terms.workers or where.config.backfill.workers
    context = where.context(**{"run": new_run(), "workers": workers, "pace": Pace(workers), "stop": stop, **chosen})
    context = context if row == LOCK else replace(context, state=context.state.unfenced())
    rights.check(context, verb)
    binding.refuse_foreign(context)
    lease = where.lease(command, terms.lock_ttl, terms.wait_lock, row, context.run)
    account = Account(context)
    announced = Announced(context, account, terms.listen, verb, command)
    crew.refuse_unusable(context, terms.executor)
    with announced.to_its_end(), recorded(context, lease, verb, command, account.row) as check, ExitStack() as later:
        announced.begin()

        def both() -> None:
            check()
            guard()

        context = replace(context, crew=later.enter_context(crew.of(context, terms.executor, terms.scheduler)))
        driver = Driver(context, both, terms.listen, account)
        if row == LOCK and (told := repair(context.state)):
            driver.carry_out(STATE, (Piece("state", warning=sentence) for sentence in told))
        if verb != SETTLES and (changed := drift(context, but=ORDER if verb == "run" else "")):
            driver.carry_out(RULES, iter([Piece("rules", warning=changed)]))
        before = None if bears is None else binding.check(context, bears)
        yield driver
        if row == LOCK and bears is not None and (known := bound.after(context, before)):
            context.state.put(known)
        if row == LOCK or stop.signal is not None or stop.has_given_up:
            stop.raise_if_asked(command)


@contextmanager
def recorded(
    context: Context, lease: Lease | None, verb: str, command: str, account: Callable[[], Document] = dict
) -> Iterator[Guard]:
    """Hold the lease, if one is needed, and keep a record of the run; yields what raises when the lease is lost.

    What it came to by the `account` is in its record at the end.
    """
    context.state.check_layout()
    with held(lease) if lease else nullcontext(unguarded) as check, collecting_seldom(), formula.single_threaded():
        row, begun = _begun(context, verb, command)
        end: Document = {}
        clear_secrets(context.state)
        try:
            marked = {"marks": marks(context.config), "outcome": RunStatus.RUNNING.value}
            context.state.put(Checkpoint(row, {**begun, **marked}))
            yield check
            end = {"outcome": RunStatus.RUNNING.to(RunStatus.DONE)}
        except BaseException as error:
            end = {"outcome": RunStatus.RUNNING.to(ended_by(error)), "error": hidden(str(error))[:2000]}
            raise
        finally:
            # A lost lease or a server that is gone must not hide what ended the run.
            with suppress(LbmigrateError, PyMongoError), pymongo.timeout(LAST_WORDS):
                check()
                context.state.put(Checkpoint(row, {**account(), **end, "held": None, "endedAt": context.clock()}))


@contextmanager
def recorded_afterwards(context: Context, verb: str, command: str) -> Iterator[None]:
    """Keep a record of work that reads or brings back the state itself: made when it is done, else it would be in it.

    It is left out where the database user may not write it.
    """
    row, begun = _begun(context, verb, command)
    _clear(context)  # before the state is read, and again when it came back from an old backup
    yield
    _clear(context)
    done = {**begun, "outcome": RunStatus.RUNNING.to(RunStatus.DONE), "endedAt": context.clock()}
    with suppress(LbmigrateError, PyMongoError), pymongo.timeout(LAST_WORDS):
        context.state.check_layout()
        context.state.put(Checkpoint(row, done))


def _clear(context: Context) -> None:
    with suppress(LbmigrateError, PyMongoError):
        clear_secrets(context.state)


def _begun(context: Context, verb: str, command: str) -> tuple[str, Document]:
    begun = {"verb": verb, "options": {"command": command}, "startedAt": context.clock(), "by": operator()}
    return f"run:{context.run}", begun


@contextmanager
def held(lease: Lease) -> Iterator[Guard]:
    """Hold a lease and renew it; yields what raises when it is lost."""
    lease.take()
    lease.keep()
    try:
        yield lease.check
    finally:
        with suppress(PyMongoError), pymongo.timeout(LAST_WORDS):
            lease.release()


def new_run() -> str:
    """A name for a run: short enough to say aloud."""
    return secrets.token_hex(4)
