"""SIGINT and SIGTERM ask a run to stop after the piece at hand; a second one stops it now."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lbmigrate.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether a signal came, and which."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        return self.number is not None

    def raise_if_asked(self, again: str) -> None:
        """Raise Stopped with the command that goes on."""
        if self.number is not None:
            name = signal.Signals(self.number).name
            raise Stopped(f"stopped by {name}; everything done so far is checkpointed", self.number, hint=again)


@contextmanager
def heeded(told: Callable[[str], None]) -> Iterator[StopRequest]:
    """Within the block, the first signal sets the request and the second raises KeyboardInterrupt."""
    request = StopRequest()

    def receive(number: int, _: FrameType | None) -> None:
        if request():
            raise KeyboardInterrupt
        request.number = number
        told(f"{signal.Signals(number).name}: stopping after the chunk at hand; once more stops now")

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
