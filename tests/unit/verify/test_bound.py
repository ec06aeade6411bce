"""The bound of a sample is exact, and what is found over many samples is what it says."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from lbmigrate.verify import bound as bounds
from lbmigrate.verify.bound import at_most, bound, most_wrong, sample_size


def exactly(population, wrong, checked, found):
    ways = sum(math.comb(wrong, k) * math.comb(population - wrong, checked - k) for k in range(found + 1))
    return Fraction(ways, math.comb(population, checked))


@pytest.mark.parametrize("numbers", [(50, 5, 10, 0), (50, 5, 10, 2), (1_000, 12, 300, 1), (9, 9, 3, 3)])
def test_the_probability_is_the_sum_of_the_distribution(numbers):
    assert at_most(*numbers) == pytest.approx(float(exactly(*numbers)), rel=1e-15)


def test_logarithms_agree_with_whole_numbers(monkeypatch):
    exact = at_most(20_000, 40, 5_000, 6)
    monkeypatch.setattr(bounds, "EXACT", 0)
    assert at_most(20_000, 40, 5_000, 6) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize(("population", "checked", "found"), [(500, 60, 0), (500, 60, 3), (40, 39, 0)])
def test_one_more_than_the_bound_would_have_been_too_unlikely(population, checked, found):
    most = most_wrong(population, checked, found, 0.95)
    assert exactly(population, most, checked, found) > Fraction(5, 100)
    if most < population - (checked - found):
        assert exactly(population, most + 1, checked, found) <= Fraction(5, 100)


def test_none_of_three_thousand_is_told_in_words():
    assert bound(8_000_000, 3_000, 0, 0.95).words == "0 of 3,000: fewer than 0.10 % wrong, with 95 % confidence"


def test_who_looked_at_everybody_knows():
    assert bound(12, 12, 1, 0.95).rate == 1 / 12
    assert bound(12, 12, 1, 0.95).words == "1 of 12, which is everybody"


@pytest.mark.parametrize(
    ("population", "confidence", "error"), [(100_000, 0.95, 0.01), (900, 0.999, 0.01), (3, 0.9, 0.1)]
)
def test_a_sample_is_the_smallest_that_says_as_much(population, confidence, error):
    size = sample_size(population, confidence, error)
    assert most_wrong(population, size, 0, confidence) <= error * population
    assert size == 1 or most_wrong(population, size - 1, 0, confidence) > error * population


def test_over_many_samples_as_many_find_something_as_the_distribution_says():
    population, wrong, checked, runs = 2_000, 30, 100, 300
    expected = 1 - at_most(population, wrong, checked, 0)
    found = sum(min(random.Random(seed).sample(range(population), checked)) < wrong for seed in range(runs))
    deviation = math.sqrt(expected * (1 - expected) / runs)
    assert abs(found / runs - expected) < 3 * deviation
