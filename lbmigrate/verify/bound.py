"""What a sample says of everything: the exact upper bound on how many are wrong, and how large a sample must be.

Users are drawn without replacement from a finite number, so that the wrong ones among them follow the hypergeometric
distribution. Its sums are exact integers, by `math.comb`; large samples of large numbers are counted by logarithms.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from lbmigrate.verify.result import Bound

EXACT = 10_000  # sample up to which every sum is exact: beyond it integers of millions of digits would be needed


def at_most(population: int, wrong: int, checked: int, found: int) -> float:
    """The probability that a sample of `checked` from `population`, `wrong` of them wrong, has at most `found`."""
    if checked <= EXACT:
        return _ways(population, wrong, checked, found) / math.comb(population, checked)
    terms = [_log_term(population, wrong, checked, k) for k in range(found + 1)]
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _ways(population: int, wrong: int, checked: int, found: int) -> int:
    """How many samples have at most `found`: each summand is made of the one before, which spares most of the work."""
    right = population - wrong
    first = max(0, checked - right)  # a sample has at least so many
    summand = math.comb(wrong, first) * math.comb(right, checked - first)
    ways = 0
    for k in range(first, min(found, checked, wrong) + 1):
        ways += summand
        summand = summand * (wrong - k) * (checked - k) // ((k + 1) * (right - checked + k + 1))
    return ways


def _log_term(population: int, wrong: int, checked: int, found: int) -> float:
    if found > wrong or checked - found > population - wrong:
        return -math.inf
    chosen = _log_comb(wrong, found) + _log_comb(population - wrong, checked - found)
    return chosen - _log_comb(population, checked)


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def most_wrong(population: int, checked: int, found: int, confidence: float) -> int:
    """The largest number of wrong ones with which it was not too unlikely to find as few as `found`."""
    low, high = found, population - (checked - found)
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(population, middle, checked, found) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def sample_size(population: int, confidence: float, max_error: float) -> int:
    """The smallest sample that, if nothing in it is wrong, bounds the share of wrong ones by `max_error`.

    That is one in which it is too unlikely to find none of the smallest number that is more than this share.
    """
    too_many = math.floor(Fraction(max_error) * population) + 1
    low, high = min(population, 1), population
    while low < high:
        middle = (low + high) // 2
        if at_most(population, too_many, middle, 0) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


def bound(population: int, checked: int, found: int, confidence: float) -> Bound:
    """The bound with its sentence: `0 of 3,000: fewer than 0.10 % wrong, with 95 % confidence`."""
    if checked == population:
        words = f"{found:,} of {checked:,}, which is everybody"
        return Bound(population, checked, found, confidence, found / population if population else 0.0, words)
    rate = most_wrong(population, checked, found, confidence) / population if checked else 1.0
    sure = f"{Decimal(str(confidence)) * 100:f}".rstrip("0").rstrip(".")
    words = f"{found:,} of {checked:,}: fewer than {_percent(rate)} wrong, with {sure} % confidence"
    return Bound(population, checked, found, confidence, rate, words)


def _percent(rate: float) -> str:
    """A share in percent with two digits that count, rounded up: a bound must not look better than it is."""
    share = Decimal(repr(rate)) * 100
    if not share:
        return "0.01 %"
    places = max(0, 1 - share.adjusted())
    shown = share.quantize(Decimal(1).scaleb(-places), ROUND_CEILING)
    if places and shown.adjusted() > share.adjusted():  # 0.0998 became 0.100
        shown = shown.quantize(Decimal(1).scaleb(1 - places))
    return f"{shown:f} %"
