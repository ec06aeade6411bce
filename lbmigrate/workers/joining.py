"""The side of a worker that has joined a run: it takes one task after another, and ends with the run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from lbmigrate.config.digest import likeness
from lbmigrate.config.model import Config
from lbmigrate.errors import LeaseLost, Refused, UsageError
from lbmigrate.mongo.client import server_time
from lbmigrate.records import Document
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Context
from lbmigrate.run.stop import Stop
from lbmigrate.state import LOCK, Holder, State
from lbmigrate.state.lease import is_held
from lbmigrate.state.mailbox import SIGN, Mailbox
from lbmigrate.telling.secrets import redact
from lbmigrate.workers.at_work import answered, at_work, packed, unpacked

TICK = 0.05  # seconds between two looks for a task
BEGINNING = 5.0  # … at most for what a run puts on record when it begins
ANSWER = 0.02  # … and for an answer in the middle of one
SHARED = ("run", "backfill", "reconcile", "recount", "verify --full")  # what most of can be handed to others
START = f"start one first, on one host: lbmigrate {', '.join(SHARED[:-1])} or {SHARED[-1]}"
ALIKE = "have the same version and the same configuration on both, and then: lbmigrate worker"


@dataclass(slots=True)
class Done:
    """What a worker has done for a run: tasks, and the documents that it has read for them."""

    run: str = ""
    tasks: int = 0
    documents: int = 0


class Guarded(State):
    """The state for a worker: before every write to the ledger and the entries it also asks its mailbox."""

    guard: Callable[[], None] = staticmethod(lambda: None)

    def forgotten(self, read: Iterable[Document] | None = None) -> tuple[int | None, list[Document]]:
        self.guard()
        return super().forgotten(read)


def marks(config: Config) -> Document:
    """By what a worker is known to do the same as the run: the package's version, and the configuration's digests."""
    return {"version": str(vars(sys.modules["lbmigrate"])["__version__"]), "digests": likeness(config)}


def refuse_others(config: Config, wanted: Document) -> None:
    """Raise Refused where a worker would do something else than the run does."""
    mine = marks(config)
    if mine["version"] != wanted.get("version"):
        told = f"this is lbmigrate {mine['version']}, and the run is by {wanted.get('version') or 'an earlier one'}"
        raise Refused(told, hint=ALIKE)
    here, there = mine["digests"], wanted.get("digests", {})
    if other := sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name)):
        raise Refused(f"the configuration here is another one than the run's: it differs in {', '.join(other)}", ALIKE)


def refuse_elsewhere(context: Context) -> None:
    """Raise Refused where the server of a worker knows nothing of its run: what it did there would be none of that."""
    if not context.state.get(f"run:{context.run}"):
        told = f"{redact(context.config.database.uri)} is another server than the run's"
        raise Refused(told, "give the worker the server of the run, by MONGODB_URI")


def join(connection: Connection, stop: Stop, tell: Callable[[str], None]) -> Done:
    """Work for the run that is going on, until it ends or a stop is asked for.

    Raises UsageError where none is going on, Refused where the run is by another version or configuration.
    """
    lock = connection.state.get(LOCK)
    if not lock.get("run") or not is_held(lock, server_time(connection.state.rows.database)):
        raise UsageError("no run is going on that could be joined", hint=START)
    record, done = _record(connection.state, lock["run"], stop), Done(lock["run"])
    refuse_others(connection.config, record.get("marks", {}))
    command = record.get("options", {}).get("command", "")
    while not stop.asked():
        box = Mailbox(connection.state, done.run, Holder.here())
        with at_work(connection.config, box.run, lock["fence"]) as context, opened(box):  # ready before it is seen
            tell(f"joined run {box.run}, {command}: it hands out parts of that")
            if not _work(box, guarded(context, box), stop, done):
                return done
        if not box.goes_on(connection.state.get(LOCK)):
            return done
        tell("the run has not heard of this worker for a while; joining it again")
    return done


def _record(state: State, run: str, stop: Stop) -> Document:
    """The record of a run, which is made a moment after it has taken the lock."""
    until = time.monotonic() + BEGINNING
    while not (found := state.get(f"run:{run}")) and time.monotonic() < until and not stop.asked():
        stop.wait(TICK)
    return found


def guarded(context: Context, box: Mailbox) -> Context:
    """The surroundings of a worker that writes nothing any more once the run has given it up."""
    state = Guarded(context.state.rows.database)
    state.fence, state.guard = context.state.fence, box.check
    object.__setattr__(context, "state", state)
    return context


@contextmanager
def opened(box: Mailbox) -> Iterator[None]:
    """The mailbox of a worker, signed now and then within the block."""
    box.open()
    over = threading.Event()
    signing = threading.Thread(target=_sign, args=(box, over), daemon=True)
    signing.start()
    try:
        yield
    finally:
        over.set()
        signing.join()
        with suppress(PyMongoError):
            box.close()


def _sign(box: Mailbox, over: threading.Event) -> None:
    while not over.wait(SIGN) and not box.is_gone:
        with suppress(PyMongoError):  # a passing fault; where it lasts, `check` ends the task
            box.sign()


def _work(box: Mailbox, context: Context, stop: Stop, done: Done) -> bool:
    """Carry out what is handed out; whether the run may go on without knowing of this worker."""
    last, looked = 0, time.monotonic()
    while not stop.asked():
        lock, row = box.look()
        if not row:
            return not box.is_trusted
        task = row.get("task")
        if task and task["n"] != last:
            last = task["n"]
            _carry_out(box, context, task, done)
        elif time.monotonic() - looked > SIGN or lock.get("run") != box.run:
            looked = time.monotonic()
            if not box.goes_on(lock):
                return False
        else:
            stop.wait(TICK)
    return False


def _carry_out(box: Mailbox, context: Context, task: Document, done: Done) -> None:
    turns = iter(range(1, 2**31))

    def ask(asked: Document) -> Document:
        turn = next(turns)
        box.ask(task["n"], turn, packed(asked))
        return answer_to(box, task["n"], turn)

    from lbmigrate.workers.ways import carry_out  # noqa: PLC0415  every kind of work, and a run imports this module

    began = time.monotonic()
    found = carry_out(context, unpacked(task["body"]), ask)
    documents = found.get("documents", 0)
    done.tasks, done.documents = done.tasks + 1, done.documents + documents
    box.hand_back(task["n"], answered(found), documents, time.monotonic() - began)


def answer_to(box: Mailbox, number: int, turn: int) -> Document:
    """What the run says to what was asked. Raises LeaseLost where nobody will answer any more."""
    while True:
        box.check()
        lock, row = box.look()
        if not row or lock.get("run") != box.run:
            raise LeaseLost("the run has ended, or has given this worker up", hint="lbmigrate worker")
        said = row.get("answer")
        if said and (said["n"], said["m"]) == (number, turn):
            return unpacked(said["body"])
        time.sleep(ANSWER)
