"""Where a worker process begins: it says that it is ready, or why it cannot be, before it is handed anything.

Nothing of ours that is heavy is imported before the way to the run is open, so that what goes wrong there is told too.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection

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
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.environ["NUMEXPR_NUM_THREADS"] = "1"  # the processes share the cores
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


def _end_with_the_run() -> None:
    if run := parent_process():
        run.join()
        os._exit(0)
