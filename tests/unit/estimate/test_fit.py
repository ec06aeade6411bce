"""How the constants are fitted: no cost is negative, what is exact is found again, and the file holds all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.estimate import cases
from benchmarks.estimate.__main__ import written
from benchmarks.estimate.nonnegative import solve
from lbmigrate.estimate.fitted import fitted, read

COSTS = st.lists(st.floats(0.0, 100.0), min_size=3, max_size=3).filter(lambda costs: max(costs) > 0.1)


@settings(max_examples=10)
@given(costs=COSTS, seed=st.integers(0, 1_000))
def test_costs_that_explain_everything_are_found_again(costs, seed):
    amounts = np.random.default_rng(seed).uniform(1.0, 1e5, (12, 3))
    measured = amounts @ np.array(costs)
    assert amounts @ solve(amounts, measured) == pytest.approx(measured, rel=1e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 1_000))
def test_no_cost_is_below_zero_whatever_was_measured(seed):
    rng = np.random.default_rng(seed)
    assert solve(rng.uniform(0.0, 1e5, (8, 4)), rng.uniform(1.0, 10.0, 8)).min() >= 0


def test_what_there_was_none_of_costs_nothing():
    assert solve(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([3.0, 6.0])).tolist() == pytest.approx([3.0, 0.0])


def test_the_file_of_the_constants_holds_all_of_them():
    assert read(written(fitted())) == fitted()


def test_what_is_held_back_differs_in_size_and_shape_from_what_is_fitted():
    shapes = {(case.docs, case.per_user) for case in cases.FITTED}
    assert not shapes & {(case.docs, case.per_user) for case in cases.HELD_BACK}
    assert len(cases.HELD_BACK) >= 3
