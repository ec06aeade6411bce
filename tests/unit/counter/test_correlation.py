"""How alike two orders are: known values, and what holds for all."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.counter.correlation import kendall, mean_ranks, spearman

numbers = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=40)


def columns(pairs):
    return (np.array([pair[side] for pair in pairs], dtype=np.float64) for side in (0, 1))


def slow_kendall(one, other):
    """tau-b by its definition, pair by pair."""
    one, other = one.tolist(), other.tolist()
    pairs = list(itertools.combinations(range(len(one)), 2))
    signs = [((one[a] > one[b]) - (one[a] < one[b]), (other[a] > other[b]) - (other[a] < other[b])) for a, b in pairs]
    size = math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    return sum(x * y for x, y in signs) / size if size else None


def test_equal_values_share_the_mean_of_their_ranks():
    assert mean_ranks(np.array([30.0, 10.0, 20.0, 20.0])).tolist() == [4, 1, 2.5, 2.5]


def test_a_known_example():
    """Ten pairs whose rho is 1 - 6 * 194 / 990."""
    one = np.array([106, 86, 100, 101, 99, 103, 97, 113, 112, 110], dtype=np.float64)
    other = np.array([7, 0, 27, 50, 28, 29, 20, 12, 6, 17], dtype=np.float64)
    assert spearman(one, other) == pytest.approx(-29 / 165)


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_the_same_order_is_one_and_the_reverse_is_minus_one(measure):
    one = np.arange(50, dtype=np.float64)
    assert measure(one, one**3) == pytest.approx(1)
    assert measure(one, -one) == pytest.approx(-1)


@pytest.mark.parametrize("measure", [spearman, kendall])
@pytest.mark.parametrize("values", [[], [1], [2, 2, 2]])
def test_without_an_order_there_is_none(measure, values):
    one = np.array(values, dtype=np.float64)
    assert measure(one, np.arange(len(values), dtype=np.float64)) is None


@given(numbers)
def test_kendall_is_what_its_definition_says(pairs):
    one, other = columns(pairs)
    found, expected = kendall(one, other), slow_kendall(one, other)
    assert found == expected or found == pytest.approx(expected)


@given(numbers)
def test_both_are_between_minus_one_and_one_and_know_no_sides(pairs):
    one, other = columns(pairs)
    for measure in (spearman, kendall):
        found = measure(one, other)
        assert found is None or (-1 - 1e-12 <= found <= 1 + 1e-12 and measure(other, one) == pytest.approx(found))
