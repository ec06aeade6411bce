"""SIGINT and SIGTERM ask a run to stop after the piece at hand; a second one stops it now.

Now means: it lets go of the lease if that can be done within GRACE, and ends in any case; a server that does not answer
keeps nobody.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lbmigrate.run.stop import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 2.0  # seconds


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
        say(f"{signal.Signals(number).name}: stopping after the chunk at hand; once more stops now")

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield
    finally:
        end.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
