"""What a run adds to the disk and to the oplog, the memory that it takes, and the connections that it opens. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lbmigrate.estimate.fitted import Fitted
from lbmigrate.estimate.model import Executors, Work

MEGABYTE = 1_000_000


def bytes_of(constants: Fitted, work: Work) -> Mapping[str, float]:
    """What is added on the disk, with indexes, and to the oplog."""
    per = constants.bytes
    event = (work.event_bytes or per["event"]) * per["event_compression"] + per["event_indexes"]
    entry = per["entry"] * per["entry_compression"] + per["entry_indexes"]
    alone = min(work.apart, work.events)  # an insert each, where others come many in one
    written = work.events * ((work.event_bytes or per["event"]) + per["event_oplog"]) + alone * per["apart_oplog"]
    return {
        "disk": work.events * (event + per["index"] * work.indexes) + work.entries * entry,
        "oplog": written + work.entries * (per["entry"] + per["entry_oplog"]),
    }


def memory(constants: Fitted, executors: Executors) -> float:
    """The peak of memory in bytes, of all processes together."""
    per = constants.memory
    one = per["process"] + per["worker"] * (1 if executors.processes else executors.workers)
    return MEGABYTE * (one + (per["child"] * executors.workers if executors.processes else 0.0))


def connections(executors: Executors, members: int) -> int:
    """The most that are open: of each client one for each thread that is at work, and two that watch each member."""
    watching = 2 * members
    if executors.processes:
        return 2 + watching + executors.workers * (1 + watching)
    return 2 + executors.workers + watching
