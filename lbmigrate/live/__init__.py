"""Now: what an app calls, and what follows the app's changes."""

from lbmigrate.live.flag_cache import Flag, flag
from lbmigrate.live.recorder import ScoreRecorder

__all__ = ["Flag", "ScoreRecorder", "flag"]
