"""Faults and corruptions on purpose, for tests of an app that carries a leaderboard, and of lbmigrate itself.

A `Proxy` stands between a client and its server and can break in the ways that networks do; `freeze` stops a process in
its tracks; the functions that take a database damage exactly one document of the leaderboard; `CORRUPTIONS` are all the
ways in which a migrated database may be wrong, each with what a verification calls it; `messy` makes a history look as
old ones do. Nothing here belongs in production.
"""

from lbmigrate.testing.corruptions import CORRUPTIONS, Corruption
from lbmigrate.testing.damage import (
    change_points,
    change_score,
    drop_entry,
    drop_event,
    duplicate_entry,
    duplicate_event,
)
from lbmigrate.testing.faults import HOST, Proxy, freeze, thaw
from lbmigrate.testing.messy import MISSING, ODD_VALUES, messy

__all__ = [
    "CORRUPTIONS",
    "HOST",
    "MISSING",
    "ODD_VALUES",
    "Corruption",
    "Proxy",
    "change_points",
    "change_score",
    "drop_entry",
    "drop_event",
    "duplicate_entry",
    "duplicate_event",
    "freeze",
    "messy",
    "thaw",
]
