"""A points function that is slow on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 1_000  # of arithmetic in Python for each document


def laborious(frame: Any) -> Any:
    """Ten points for each document, after much work for each."""
    return np.fromiter((10 + 0 * sum(n * n for n in range(STEPS)) for _ in range(len(frame))), np.int64, len(frame))
