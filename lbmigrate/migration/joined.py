"""Who has joined the run that is going on, as far as the state tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate.state import Holder, State
from lbmigrate.state.mailbox import present


@dataclass(frozen=True, slots=True)
class Worker:
    """One of those who have joined: what it has done, how fast, and for how long it was silent.

    The rate are documents a second of the time that it had a task in hand; `silent` are seconds.
    """

    host: str
    pid: int
    tasks: int
    documents: int
    rate: float | None
    silent: float


def workers(state: State, now: dt.datetime) -> Iterator[Worker]:
    """All of them, by the server's time `now`."""
    for row in present(state, now):
        holder, seconds = Holder.of(row) or Holder("", 0), row.get("seconds", 0.0)
        rate = row.get("documents", 0) / seconds if seconds else None
        silent = max(0.0, (now - row["at"]).total_seconds())
        yield Worker(holder.host, holder.pid, row.get("tasks", 0), row.get("documents", 0), rate, silent)
