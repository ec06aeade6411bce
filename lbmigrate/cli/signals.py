"""SIGINT, SIGTERM and SIGHUP (a lost terminal) ask a run to stop after the piece at hand; a second one stops it now.

Now means: it lets go of the lease if that can be done within GRACE, and ends in any case; a server that does not answer
keeps nobody.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lbmigrate.run.stop import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 2.0  # seconds


def _let_go_of_terminals() -> None:
    """What is said from now on goes nowhere: to write to a terminal that is lost is an error and would end the run."""
    for number in (1, 2):
        if stat.S_ISCHR(os.fstat(number).st_mode):  # one that is lost does not say that it is a terminal any more
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), number)


@contextmanager
def heeded(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Within the block, the first signal asks to stop and the second raises KeyboardInterrupt."""
    end = threading.Timer(GRACE, os._exit, (128 + signal.SIGINT,))
    end.daemon = True

    def receive(number: int, _: FrameType | None) -> None:
        if stop.signal is not None:
            if end.ident is None:
                end.start()
            raise KeyboardInterrupt
        stop.request(number)
        if number == signal.SIGHUP:
            _let_go_of_terminals()
        say(f"{signal.Signals(number).name}: stopping after the chunk at hand; once more stops now")

    # Whoever started it with `nohup` wants it to go on.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield
    finally:
        end.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
