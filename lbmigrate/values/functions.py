"""The functions that a points formula may call: what each needs and means, and a use of it, for the reference."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """A function of formulas: how it is written, the number of its arguments, what it gives, and an example."""

    written: str
    arguments: int
    means: str
    example: str


FUNCTIONS = {
    "where": Function("where(CONDITION, THEN, OTHERWISE)", 3, "THEN where the condition is met, else OTHERWISE.",
                      "where(minutes >= 25, 20, 5)"),
    "minimum": Function("minimum(A, B)", 2, "The smaller of two: a cap.", "minimum(minutes, 120)"),
    "maximum": Function("maximum(A, B)", 2, "The larger of two: a floor.", "maximum(minutes - paused, 0)"),
    "floor": Function("floor(A)", 1, "The whole number below: only what is full counts.", "floor(minutes / 5)"),
    "ceil": Function("ceil(A)", 1, "The whole number above: what is started counts in full.", "ceil(minutes / 5)"),
    "round": Function("round(A)", 1, "The nearest whole number, halves to the even one.", "round(minutes / 10)"),
    "trunc": Function("trunc(A)", 1, "Without its fraction, towards 0.", "trunc(delta)"),
    "abs": Function("abs(A)", 1, "Without its sign.", "abs(delta)"),
    "sqrt": Function("sqrt(A)", 1, "The square root.", "floor(sqrt(minutes) * 10)"),
    "exp": Function("exp(A)", 1, "e to the power of A.", "floor(exp(level))"),
    "log": Function("log(A)", 1, "The natural logarithm.", "floor(log(minutes + 1) * 10)"),
    "log10": Function("log10(A)", 1, "The logarithm to the base 10.", "floor(log10(minutes + 1) * 100)"),
}  # fmt: skip
