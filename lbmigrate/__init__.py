"""A leaderboard for a productivity app on MongoDB: backfilled safely, kept right, and taken back if need be."""

from lbmigrate.board.board import Board
from lbmigrate.config.load import load_config
from lbmigrate.live.recorder import ScoreRecorder

__all__ = ["Board", "ScoreRecorder", "load_config"]
