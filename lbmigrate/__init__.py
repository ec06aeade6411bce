"""A leaderboard for a productivity app on MongoDB: backfilled safely, kept right, and taken back if need be.

The public names are imported when they are asked for: whoever reads a board does not pay for a backfill.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbmigrate.board.async_board import AsyncBoard
    from lbmigrate.board.board import Board
    from lbmigrate.config.load import load_config
    from lbmigrate.errors import LbmigrateError
    from lbmigrate.live.flag_cache import flag
    from lbmigrate.live.recorder import ScoreRecorder
    from lbmigrate.workers.executor import Executor

__all__ = ["AsyncBoard", "Board", "Executor", "LbmigrateError", "ScoreRecorder", "__version__", "flag", "load_config"]
__version__ = "0.1.0"

HOMES = {
    "AsyncBoard": "lbmigrate.board.async_board",
    "Board": "lbmigrate.board.board",
    "Executor": "lbmigrate.workers.executor",
    "LbmigrateError": "lbmigrate.errors",
    "ScoreRecorder": "lbmigrate.live.recorder",
    "flag": "lbmigrate.live.flag_cache",
    "load_config": "lbmigrate.config.load",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
