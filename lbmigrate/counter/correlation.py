"""How alike two orders are. Pure; a few lines of numpy.

Spearman's rho is Pearson's correlation of ranks, equal values sharing the mean of theirs (C. Spearman, "The Proof and
Measurement of Association between Two Things", 1904; M. G. Kendall, "Rank Correlation Methods", 1948, chapter 3).
Kendall's tau-b counts pairs that both order alike, against those that they order the other way round, corrected for
ties (M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def spearman(one: Values, other: Values) -> float | None:
    """From -1 (reversed) to 1 (the same order); None where a side has no order: fewer than two values, or all equal."""
    if len(one) < 2:
        return None
    first, second = (ranks - ranks.mean() for ranks in (mean_ranks(one), mean_ranks(other)))
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size else None


def mean_ranks(values: Values) -> Values:
    """The rank of each value from 1 on; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2)[places]


def kendall(one: Values, other: Values) -> float | None:
    """tau-b, row by row: for n values n steps of n; None as `spearman`."""
    alike = tied_one = tied_other = 0
    for place in range(len(one) - 1):
        first, second = np.sign(one[place + 1 :] - one[place]), np.sign(other[place + 1 :] - other[place])
        alike += int((first * second).sum())
        tied_one += int(np.count_nonzero(first))
        tied_other += int(np.count_nonzero(second))
    size = float(np.sqrt(float(tied_one) * tied_other))
    return alike / size if size else None
