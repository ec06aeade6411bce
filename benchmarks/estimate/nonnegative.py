"""Least squares in which nothing may be less than zero: no work is done faster by having more of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS = 20_000


def solve(amounts: Floats, measured: Floats) -> Floats:
    """The costs x ≥ 0 for which amounts·x is nearest to what was measured, each as a share of what was measured.

    Coordinate by coordinate: each is set to its best value while the others stand, until nothing moves any more.
    """
    rows = amounts / measured[:, None]
    scales = np.where((norms := np.linalg.norm(rows, axis=0)) > 0, norms, 1.0)
    rows = rows / scales
    products, wanted = rows.T @ rows, rows.T @ np.ones(len(measured))
    found = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        before = found.copy()
        for place in np.flatnonzero(norms > 0):
            rest = wanted[place] - products[place] @ found + products[place, place] * found[place]
            found[place] = max(0.0, rest / products[place, place])
        if np.abs(found - before).max() < 1e-12:
            break
    return found / scales
