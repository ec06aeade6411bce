"""Now: what an app calls, and what follows the app's changes. The public names are imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbmigrate.live.flag_cache import Flag, flag
    from lbmigrate.live.recorder import ScoreRecorder

__all__ = ["Flag", "ScoreRecorder", "flag"]

HOMES = {
    "Flag": "lbmigrate.live.flag_cache",
    "ScoreRecorder": "lbmigrate.live.recorder",
    "flag": "lbmigrate.live.flag_cache",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
