"""A rule that costs 100 microseconds a document, as one that asks a model or parses a text may."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

SECONDS = 100e-6  # of this thread's processor time, for each document


def points(frame: pd.DataFrame) -> pd.Series:
    """One point for each document, late."""
    until = time.thread_time() + SECONDS * len(frame)
    while time.thread_time() < until:
        pass
    return pd.Series(np.ones(len(frame), dtype=np.int64), index=frame.index)
