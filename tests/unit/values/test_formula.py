from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.errors import ConfigError
from lbmigrate.values import formula
from lbmigrate.values.functions import FUNCTIONS

EVERY_FUNCTION = "where, minimum, maximum, floor, ceil, round, trunc, abs, sqrt, exp, log, log10"
NAMES = ["minutes", "weight"]
COLUMNS = {"minutes": np.array([0.5, 25.0, 500.0]), "weight": np.array([1.0, 2.0, 3.0])}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", [5, 5, 5]),
        ("minutes", [0.5, 25, 500]),
        ("minimum(floor(minutes), 120) * weight", [0, 50, 360]),
        ("maximum(ceil(minutes), 5) - 1", [4, 24, 499]),
        ("weight / 2", [0.5, 1, 1.5]),
        ("weight // 2 + weight % 2 + weight ** 2", [2, 5, 11]),
        ("-weight + +abs(-minutes)", [-0.5, 23, 497]),
        ("where((minutes >= 5) & ~(weight == 3), 10, 0)", [0, 10, 0]),
        ("where((minutes < 1) | (weight > 2.5), 1, 2)", [1, 2, 1]),
        ("(minutes > 1) + (minutes > 100)", [0, 1, 2]),
        ("minutes != 25", [1, 0, 1]),
        ("10 * (weight >= 2)", [0, 10, 10]),
        ("3000000000 * weight", [3e9, 6e9, 9e9]),
        ("floor(sqrt(weight * 48)) + round(2.5) + trunc(minutes)", [8, 36, 514]),
        ("exp(0) + log(1) + log10(100)", [3, 3, 3]),
        ("minutes +\n  weight", [1.5, 27, 503]),
    ],
)
def test_a_formula_is_computed_for_every_row(text: str, values: list[float]) -> None:
    assert formula.check(text, NAMES) is None
    found = formula.evaluate(text, COLUMNS, 3)
    assert (found.tolist(), found.dtype) == (values, np.float64)


@pytest.mark.parametrize("name", ["real", "imag", "complex", "sum", "prod", "sin", "contains", "a__b", "_x", "let_"])
def test_a_name_may_be_one_that_numexpr_knows_otherwise(name: str) -> None:
    text = f"where({name} > 1, {name} * 2, 0)"
    assert formula.check(text, [name]) is None
    assert formula.evaluate(text, {name: np.array([1.0, 2.0, 3.0])}, 3).tolist() == [0, 4, 6]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("minuts * 2", "the formula uses minuts, which `let` does not define; did you mean minutes?"),
        ("zzz", "the formula uses zzz, which `let` does not define; known: minutes, weight"),
        (
            "min(minutes, 120)",
            "min() cannot be called in a formula; did you mean minimum? Functions: " + EVERY_FUNCTION,
        ),
        ("hypot(minutes, 1)", f"hypot() cannot be called in a formula; functions: {EVERY_FUNCTION}"),
        ("minimum(1, 2, 3)", "minimum() takes 2 arguments, in order"),
        ("floor(x=minutes)", "floor() takes 1 argument, in order"),
        ("floor", "floor is a function: write floor(VALUE)"),
        ("minutes and weight", "write & and | between comparisons in parentheses instead of `and` and `or`"),
        ("not minutes", "write ~(CONDITION) instead of `not`"),
        ("1 if minutes else 2", "write where(condition, then, otherwise) instead of `if`"),
        ("0 < minutes < 5", "`0 < minutes < 5`: write a chain of comparisons as (a < b) & (b < c)"),
        (
            "where((minutes > 1) and (weight > 1), 1, 2)",
            "write & and | between comparisons in parentheses instead of `and` and `or`",
        ),
        ("where(not minutes, 1, 2)", "write ~(CONDITION) instead of `not`"),
        ("where(minutes, 1, 2)", "`minutes` stands where a comparison belongs"),
        ("minutes & 1", "`minutes` stands where a comparison belongs"),
        ("minutes in weight", "`minutes in weight` stands where a comparison belongs"),
        ("minutes.real", "`minutes.real` is not allowed in a formula"),
        ("minutes[0]", "`minutes[0]` is not allowed in a formula"),
        ("lambda: 1", "`lambda: 1` is not allowed in a formula"),
        ("'text'", "`'text'` is not allowed in a formula"),
        ("minutes ^ 2", "`minutes ^ 2` is not allowed in a formula"),
        ("True", "`True` is not allowed in a formula"),
        ("1e999", "a number in the formula is too large"),
        ("1 / 0", "the formula divides by zero"),
        ("minutes +", "'minutes +' is not a formula: invalid syntax"),
        ("", "'' is not a formula: invalid syntax"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    assert formula.check(text, NAMES) == sentence
    with pytest.raises(ConfigError) as refused:
        formula.evaluate(text, COLUMNS, 3)
    assert sentence in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "[minutes for minutes in weight]",
        "(" * 300 + ")" * 300,
        "-" * 5000 + "1",
        "9" * 5000,
        "9 ** 9 ** 9 ** 9",
        "minutes\0",
        "(1 > 2) & (minutes > 1)",
        "f'{minutes}'",
        "print(minutes)",
    ],
)
def test_a_hostile_formula_is_refused_and_never_run(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert formula.check(text, NAMES)
    assert capsys.readouterr().out == ""


@given(st.text(alphabet="minutesweigh()+-*/<>=&|~.,19 e'[]:_", max_size=30))
def test_any_text_is_either_refused_or_computed(text: str) -> None:
    if formula.check(text, NAMES) is None:
        assert formula.evaluate(text, COLUMNS, 3).shape == (3,)


def test_a_row_without_a_finite_result_does_not_hide() -> None:
    columns = {"x": np.array([0.0, math.nan, -1.0])}
    assert np.isnan(formula.evaluate("minimum(x / x, 120)", columns, 3)).tolist() == [True, True, False]
    assert np.isnan(formula.evaluate("maximum(120, sqrt(x))", columns, 3)).tolist() == [False, True, True]


@pytest.mark.parametrize(("text", "length"), [("5", 0), ("minutes * 2", 0), ("5", 1), ("minutes * 2", 1)])
def test_short_batches_have_their_own_length(text: str, length: int) -> None:
    assert formula.evaluate(text, {"minutes": np.ones(length)}, length).shape == (length,)


def test_threads_computing_the_same_formula_do_not_mix_their_rows() -> None:
    text = "where(x > 5, minimum(floor(x * 3), 1000) / 2, x - 1)"

    def worker(seed: int) -> bool:
        x = np.random.default_rng(seed).uniform(0, 1000, 20_000)
        expected = np.where(x > 5, np.minimum(np.floor(x * 3), 1000) / 2, x - 1)
        return all(np.array_equal(formula.evaluate(text, {"x": x}, len(x)), expected) for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(worker, range(16)))


@pytest.mark.parametrize(
    ("points", "answer"),
    [
        ("scoring_rules:deep_work", True),
        ("package.module:function", True),
        ("minutes * 2", False),
        ("5", False),
        ("a:b:c", False),
        ("module:", False),
        ("x[1:2]", False),
    ],
)
def test_a_function_is_named_by_module_and_name(points: str, answer: bool) -> None:
    assert formula.is_function(points) is answer


def test_the_largest_number_may_be_written() -> None:
    assert formula.check(repr(sys.float_info.max), []) is None


def test_names_may_be_compared_with_names() -> None:
    columns = {"a": np.array([1.0, 3.0]), "b": np.array([2.0, 2.0])}
    assert formula.evaluate("where(a < b, 5, 7)", columns, 2).tolist() == [5.0, 7.0]


def test_where_nothing_is_known_a_name_is_refused_with_that() -> None:
    assert formula.check("minutes", []) == "the formula uses minutes, which `let` does not define; known: none"


def test_a_function_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "board_rules_here.py").write_text("def points(frame):\n    return 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere", *sys.path])
    for _ in range(2):
        assert formula.load_function(" board_rules_here:points ", {"board_rules_here"})(None) == 7
    assert sys.path[0] == "/nowhere"
    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


def test_nothing_is_imported_for_a_function_that_nobody_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "board_rules_secret.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    for reference in ("board_rules_secret:points", "subprocess:call", "os:system", "board_rules.secret:points"):
        with pytest.raises(ConfigError, match="--allow-functions ") as refused:
            formula.load_function(reference, {"board_rules", "sub"})
        assert refused.value.exit_code == 2
        assert f"LBMIGRATE_ALLOW_FUNCTIONS={reference.partition(':')[0]}" in refused.value.message
    assert sys.path == before
    assert "board_rules_secret" not in sys.modules


@pytest.mark.parametrize("name", ["call", "getcwd", "partial"])
def test_what_an_allowed_module_imported_from_elsewhere_is_not_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"board_rules_{name}.py").write_text(
        "from functools import partial\nfrom os import getcwd\nfrom subprocess import call\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=f"board_rules_{name}:{name} is from "):
        formula.load_function(f"board_rules_{name}:{name}", {f"board_rules_{name}"})


def test_a_package_may_keep_its_functions_in_modules_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "board_rules_package"
    package.mkdir()
    (package / "__init__.py").write_text("from board_rules_package.weekend import points\n")
    (package / "weekend.py").write_text("def points(frame):\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert formula.load_function("board_rules_package:points", {"board_rules_package"})(None) == 3


@pytest.mark.parametrize(
    ("source", "reference", "message", "hint"),
    [
        (
            "",
            "board_rules_gone:points",
            "there is no module 'board_rules_gone'",
            "run lbmigrate where board_rules_gone",
        ),
        (
            "import not_installed_anywhere",
            "board_rules_a:points",
            "there is no module 'not_installed_anywhere'",
            "run lbmigrate where board_rules_a can be imported, or install it",
        ),
        ("", "board_rules_b:points", "has no attribute 'points'", "define points in board_rules_b"),
        ("points = 3", "board_rules_c:points", "is not a function", "define points in board_rules_c"),
        ("1 / 0", "board_rules_d:points", "importing board_rules_d failed: ZeroDivisionError", ""),
    ],
)
def test_a_function_that_cannot_be_loaded_is_a_config_error(
    source: str, reference: str, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = reference.partition(":")[0]
    if "gone" not in reference:
        (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as refused:
        formula.load_function(reference, {module})
    assert message in refused.value.message
    assert reference in refused.value.message
    assert hint in refused.value.hint


def test_a_formula_has_a_longest_length() -> None:
    assert formula.check("1" + " + 1" * 100, NAMES) is None
    assert formula.check("1" + " + 1" * 100_000, NAMES) == "the formula has 400,001 characters; 2,000 are the most"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_each_function_can_be_computed_and_calls_it(name):
    example = FUNCTIONS[name].example
    names = ["minutes", "paused", "delta", "level"]
    assert formula.check(example, names) is None
    assert f"{name}(" in example
    assert FUNCTIONS[name].written.count(",") == FUNCTIONS[name].arguments - 1
