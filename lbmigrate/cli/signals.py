"""SIGINT and SIGTERM ask a run to stop after the piece at hand; a second one stops it now."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lbmigrate.brake import Brake

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heeded(brake: Brake, told: Callable[[str], None]) -> Iterator[None]:
    """Within the block, the first signal presses the brake and the second raises KeyboardInterrupt."""

    def receive(number: int, _: FrameType | None) -> None:
        if brake.signal is not None:
            raise KeyboardInterrupt
        brake.press(number)
        told(f"{signal.Signals(number).name}: stopping after the chunk at hand; once more stops now")

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
