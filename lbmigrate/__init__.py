"""A leaderboard for a productivity app on MongoDB: backfilled safely, kept right, and taken back if need be."""

from lbmigrate.board import Board
from lbmigrate.configfile import load_config
from lbmigrate.live import ScoreRecorder

__all__ = ["Board", "ScoreRecorder", "load_config"]
