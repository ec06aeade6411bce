"""Where a worker process begins: it says that it is ready, or why it cannot be, before it is handed anything.

Nothing of ours that is heavy is imported before the way to the run is open, so that what goes wrong there is told too.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A process that is started within the block, or by a thread of it, hears no signal until it wants to."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(pipe: Connection) -> None:
    """Take the order, and then one task after another, until the run closes the pipe."""
    _settle()
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    with suppress(EOFError, OSError):
        try:
            from lbmigrate.workers import serving  # noqa: PLC0415  see above

            order = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            raise
        except BaseException as error:  # a library that is not there, a configuration that does not come through
            pipe.send(("broken", f"{type(error).__name__}: {error}"[:2_000]))
            return
        serving.serve(pipe, order)


def copies(channel: Connection) -> None:
    """Import what a worker needs, and make a copy of this process for each that is asked for, until the run is gone."""
    _settle()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # who has threads cannot be copied
    with suppress(Exception):  # each copy meets it again, and says it to the run
        from lbmigrate.workers import serving  # noqa: F401, PLC0415  see above
    with suppress(EOFError, OSError):
        while True:
            word, pid = channel.recv()
            if word == "copy":
                channel.send(_copied(channel))
            elif word == "kill":
                os.kill(pid, signal.SIGKILL)  # nobody else has its number: its end was not asked for yet
                channel.send(None)
            else:
                ended, status = os.waitpid(pid, os.WNOHANG)
                channel.send(os.waitstatus_to_exitcode(status) if ended else None)


def _copied(channel: Connection) -> tuple[int, str]:
    """The number of a copy, which begins as a worker; 0 and the reason where there is none."""
    pipe = recv_handle(channel)
    try:
        pid = os.fork()
    except OSError as error:
        os.close(pipe)
        return 0, str(error)
    if not pid:
        channel.close()
        _be_a_worker(Connection(pipe))
    os.close(pipe)
    return pid, ""


def _be_a_worker(pipe: Connection) -> NoReturn:
    code = 1
    try:
        begin(pipe)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.environ["NUMEXPR_NUM_THREADS"] = "1"  # the processes share the cores


def _end_with_the_run() -> None:
    if run := parent_process():
        run.join()
        os._exit(0)
