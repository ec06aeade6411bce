"""A formula that is certain to be computable is one that numexpr computes; everyday ones are certain."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbmigrate.values import formula
from lbmigrate.values.certain import is_certain
from lbmigrate.values.functions import FUNCTIONS

NAMES = frozenset({"m", "n", "level"})


def certain(text: str) -> bool:
    return is_certain(formula._judged(text, NAMES))


def terms(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    compared = st.builds("({} {} {})".format, inner, st.sampled_from(["<", "==", "!=", ">="]), inner)
    joined = st.builds("({} {} {})".format, compared, st.sampled_from("&|"), compared) | compared.map("~{}".format)
    binary = st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner)
    called = st.sampled_from([name for name, each in FUNCTIONS.items() if each.arguments == 1])
    chosen = st.builds("where({}, {}, {})".format, compared | joined, inner, inner)
    two = st.builds("{}({}, {})".format, st.sampled_from(["minimum", "maximum"]), inner, inner)
    signed = st.builds("{}{}".format, st.sampled_from("+-"), inner)
    return binary | binary | st.builds("{}({})".format, called, inner) | chosen | two | signed | compared | joined


CONSTANTS = st.sampled_from(["0", "1", "2", "0.0", "5e-324", "1.5e308", "7", "120", "0.5"])
FORMULAS = st.recursive(st.sampled_from(sorted(NAMES)) | CONSTANTS, terms, max_leaves=14)


@settings(max_examples=150)
@given(FORMULAS)
@example("m / -5e-324")
@example("(m // -0.5) % 1.5e308")
@example("-m ** 8")
@example(" + ".join(["where(m > 1.5, n, level)"] * 12))
def test_what_is_certain_is_computed(text: str) -> None:
    if certain(text):
        formula._rebuilt(text, NAMES).judge(formula.PREFIX + name for name in NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "10",
        "minimum(floor(m / 5), 24) * 5",
        "where((m >= 25) & (level > 2), 20, 5)",
        "10 + 5 * level",
        "m // 60 + m % 60",
        "-abs(m - n) ** 2",
        "-2.5",
    ],
)
def test_an_everyday_formula_is_certain(text: str) -> None:
    assert certain(text)


@pytest.mark.parametrize(
    "text", ["m / 0", "m / -0.0", "m // 0", "m % 0", "m / (2 - 2)", "9 ** 9", "m ** n", "m ** 0.5", "sqrt(-1)", "1 > 2",
             "m / floor(0.5)", " + ".join(map(str, range(100))), "(1 > 2) & (m > 1)"],
)  # fmt: skip
def test_what_numexpr_may_refuse_is_not_certain(text: str) -> None:
    assert not certain(text)
