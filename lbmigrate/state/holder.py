"""Who holds a lease, and whether that process is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbmigrate.records import Document

if TYPE_CHECKING:
    import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: a process on a host.

    `born` tells it from a later process with the same number; it counts from the start of the machine, so that setting
    the clock changes nothing. `table` says where the number means something: containers may share their host's name,
    and do not see each other's processes.
    """

    host: str
    pid: int
    born: float = 0.0
    command: str = ""
    table: str = ""

    @classmethod
    def here(cls, command: str = "") -> Holder:
        import psutil  # noqa: PLC0415  who only looks asks about no process

        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, _born(process), command, _table())

    @classmethod
    def of(cls, lock: Mapping[str, Any]) -> Holder | None:
        """Who a lock's row says holds it; None when it is nobody. What else the row says of them is left out."""
        said: Document | None = lock.get("holder")
        return cls(**{field.name: said[field.name] for field in fields(cls) if field.name in said}) if said else None

    def is_dead(self) -> bool:
        """True only when this is certain: its table of processes is ours, and it is not in there."""
        if not self.table or self.table != _table():
            return False
        import psutil  # noqa: PLC0415  as above

        try:
            process = psutil.Process(self.pid)
            return abs(_born(process) - self.born) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except (psutil.Error, ValueError, OverflowError):  # no process has such a number, so it was not written by one
            return False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}" if self.host else "somebody"


def _born(process: psutil.Process) -> float:
    import psutil  # noqa: PLC0415  as above

    return process.create_time() - psutil.boot_time()


def _table() -> str:
    """Which start of which machine, and which process namespace; empty where the system does not say."""
    try:
        return f"{BOOT_ID.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
