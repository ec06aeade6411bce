"""Formulas against Python's own arithmetic: of floats, and of its integers where these say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.values import formula

LARGEST = 2**53
WHOLE = st.integers(-LARGEST, LARGEST) | st.integers(-10_000, 10_000) | st.sampled_from([LARGEST - 1, 1 - LARGEST])
DIVISORS = st.integers(1, 400) | st.integers(1, 2**31)
PYTHON: dict[str, Any] = {
    "floor": lambda x: float(math.floor(x)), "ceil": lambda x: float(math.ceil(x)), "round": lambda x: float(round(x)),
    "trunc": lambda x: float(math.trunc(x)), "abs": abs, "minimum": min, "maximum": max,
    "where": lambda condition, then, otherwise: then if condition else otherwise,
}  # fmt: skip


def computed(text: str, *rows: float) -> list[float]:
    assert formula.check(text, ["m"]) is None
    return formula.evaluate(text, {"m": np.array(rows, dtype=np.float64)}, len(rows)).tolist()


@pytest.mark.parametrize("divisor", [*range(1, 400), 1000, 3600, 86400])
def test_a_multiple_divided_by_its_divisor_is_whole(divisor: int) -> None:
    rows = [divisor * factor for factor in (-3, -1, 0, 1, 2, 3, 7, 49)]
    assert computed(f"floor(m / {divisor})", *rows) == [row // divisor for row in rows]


@given(WHOLE, DIVISORS, DIVISORS)
def test_whole_numbers_are_divided_as_python_divides_its_integers(m: int, one: int, other: int) -> None:
    assert computed(f"floor(m / {one})", m) == [m // one]
    assert computed(f"ceil(m / {one})", m) == [-(-m // one)]
    assert computed(f"m // {one}", m) == [m // one]
    assert computed(f"m % {one}", m) == [m % one]
    assert computed(f"m // -{one}", m) == [m // -one]
    assert computed(f"m % -{one}", m) == [m % -one]
    assert computed(f"m // {one} // {other}", m) == [m // one // other]
    assert computed(f"m // {one} % {other}", m) == [m // one % other]
    assert computed(f"floor(m / ({one} + 0))", m) == [m // one]
    if abs(m) < LARGEST - one:  # else a step on the way is a number that no double holds
        assert computed(f"floor((m + 1) / {one})", m) == [(m + 1) // one]
        assert computed(f"m // {one} * {one} + m % {one}", m) == [m]


@given(st.integers(-(2**51), 2**51), st.integers(1, 400), st.integers(1, 400))
def test_divisions_one_after_the_other_are_one_by_the_product(m: int, one: int, other: int) -> None:
    assert computed(f"floor(m / {one} / {other})", m // 4) == [m // 4 // (one * other)]


def terms(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner)
    power = st.builds("({} ** {})".format, inner, st.sampled_from(["2", "3", "0", "1"]))
    one = st.builds("{}({})".format, st.sampled_from(["floor", "ceil", "round", "trunc", "abs", "-"]), inner)
    two = st.builds("{}({}, {})".format, st.sampled_from(["minimum", "maximum"]), inner, inner)
    chosen = st.builds("where({} {} {}, {}, {})".format, inner, st.sampled_from(["<", "==", ">="]), inner, inner, inner)
    return binary | binary | one | two | power | chosen


FORMULAS = st.recursive(
    st.just("m") | st.sampled_from(["49", "7", "0.1", "2.5", "60", "120"]) | st.integers(1, 400).map(str),
    terms,
    max_leaves=8,
)


@settings(max_examples=60)
@given(FORMULAS, st.lists(WHOLE | st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_any_formula_is_what_python_computes_with_floats(text: str, rows: list[float]) -> None:
    wanted = []
    for row in rows:
        try:
            wanted.append(float(eval(compile(text, "", "eval"), {"m": float(row), **PYTHON})))
        except (ZeroDivisionError, OverflowError, ValueError):
            wanted.append(math.nan)
    if formula.check(text, ["m"]) is not None:  # a division by a constant zero, or what overflows
        assert all(map(math.isnan, wanted))
        return
    for expected, found in zip(wanted, computed(text, *rows), strict=True):
        assert math.isnan(expected) or found == expected


def test_a_constant_zero_is_no_divisor_wherever_it_stands() -> None:
    for text in ("1 / 0", "m / 0", "m / (2 - 2)", "m // 0", "m % 0", "m % (3 - 3)"):
        assert formula.check(text, ["m"]) == "the formula divides by zero", text


def test_a_row_that_divides_by_zero_is_not_finite_and_the_others_are_as_they_would_be() -> None:
    for text, others in (("10 // m", 5), ("10 % m", 0), ("10 / m", 5)):
        zero, two = computed(text, 0, 2)
        assert not math.isfinite(zero)
        assert two == others
