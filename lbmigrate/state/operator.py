"""Who is at work here."""

from __future__ import annotations

import getpass
import socket


def operator() -> str:
    """Who is at work here, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
