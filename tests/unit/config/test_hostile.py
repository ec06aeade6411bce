"""A configuration comes from a pull request: it runs nothing that the operator has not allowed, and costs little."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lbmigrate.config import rules
from lbmigrate.config.load import load_config, read_config
from lbmigrate.config.yaml_tree import LARGEST
from lbmigrate.errors import ConfigError

pytestmark = pytest.mark.sampled

SOURCE = "sources:\n  - {name: tasks, collection: tasks, action: done, user: userId, at: doneAt, points: %s}\n"
FUNCTION = SOURCE % "'board_rules_marked:points'"
PATIENCE = 60.0  # seconds of this process's own time; none of these takes a tenth of it


@pytest.fixture(autouse=True)
def _no_endless_work() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("this took more time than any configuration may")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.yaml"


def refused(file: Path, text: str, **environ: str) -> list[str]:
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(file, environ=environ)
    assert raised.value.exit_code == 2
    assert all(len(problem.message) <= 400 for problem in raised.value.problems)
    return [problem.message for problem in raised.value.problems]


# --- functions


def test_a_function_needs_a_module_that_the_operator_allows(file: Path) -> None:
    (told,) = refused(file, FUNCTION)
    assert "functions from board_rules_marked are not allowed" in told
    assert "--allow-functions board_rules_marked" in told
    assert "LBMIGRATE_ALLOW_FUNCTIONS=board_rules_marked" in told


@pytest.mark.parametrize(
    "line",
    ["functions: [subprocess]", "_functions: [subprocess]", "allow_functions: subprocess", "allowing: subprocess"],
)
def test_a_file_cannot_allow_its_own_functions(file: Path, line: str) -> None:
    told = refused(file, f"{line}\n" + SOURCE % "'subprocess:call'")
    assert any("unknown key" in message for message in told)
    assert any("functions from subprocess are not allowed" in message for message in told)


def test_the_check_of_a_configuration_imports_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "board_rules_marked.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(file.parent)
    before = list(sys.path)
    refused(file, FUNCTION)
    assert load_config(file, environ={"LBMIGRATE_ALLOW_FUNCTIONS": "board_rules_marked"}).sources
    assert (sys.path, "board_rules_marked" in sys.modules) == (before, False)


@pytest.mark.parametrize(
    ("given", "environ", "allowed"),
    [
        ("a, board_rules_marked ,", {}, {"a", "board_rules_marked"}),
        (["board_rules_marked"], {"LBMIGRATE_ALLOW_FUNCTIONS": "other"}, {"board_rules_marked"}),
        (None, {"LBMIGRATE_ALLOW_FUNCTIONS": "a,board_rules_marked"}, {"a", "board_rules_marked"}),
    ],
)
def test_a_flag_or_argument_goes_before_the_variable(
    file: Path, given: Any, environ: dict[str, str], allowed: set[str]
) -> None:
    file.write_text(FUNCTION, "utf-8")
    assert read_config(file, environ=environ, allow_functions=given).config.functions == allowed


def test_an_argument_of_nothing_takes_back_what_the_variable_allows(file: Path) -> None:
    file.write_text(FUNCTION, "utf-8")
    with pytest.raises(ConfigError, match="1 problem"):
        load_config(file, environ={"LBMIGRATE_ALLOW_FUNCTIONS": "board_rules_marked"}, allow_functions=())


def test_an_installed_package_allows_the_modules_that_it_names(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(group: str) -> EntryPoints:
        assert group == "lbmigrate.functions"
        return EntryPoints([EntryPoint("rules", "board_rules_marked", group)])

    monkeypatch.setattr(rules.metadata, "entry_points", installed)
    file.write_text(FUNCTION, "utf-8")
    assert load_config(file, environ={}).functions == {"board_rules_marked"}
    refused(file, SOURCE % "'board_rules_marked.inner:points'")


def test_what_is_allowed_stays_with_the_configuration_when_a_part_of_it_is_replaced(file: Path) -> None:
    file.write_text(FUNCTION, "utf-8")
    config = load_config(file, environ={}, allow_functions="board_rules_marked")
    assert config.model_copy(update={"timezone": "Asia/Tokyo"}).functions == {"board_rules_marked"}
    assert "board_rules_marked" not in str(config.model_dump().get("functions"))


# --- cost


def laughs(of: str, level: str) -> str:
    lines = [f"a0: &a0 {of}"]
    lines += [f"a{n}: &a{n} {level % ', '.join([f'*a{n - 1}'] * 9)}" for n in range(1, 12)]
    return "\n".join(lines)


BOMBS = {
    "aliases in lists": (laughs("[lol]", "[%s]"), "with its aliases"),
    "aliases in mappings": (laughs("{k: lol}", "{<<: [%s], more: 1}"), "with its aliases"),
    "aliases of a long text": ("a: &a " + "x" * 1000 + "\nb: [" + "*a, " * 1000 + "]", "with its aliases"),
    "deep lists": ("[" * 100_000, "more than 100 levels"),
    "deep mappings": ("{a: " * 30_000, "more than 100 levels"),
    "deep blocks": ("- " * 60_000, "more than 100 levels"),
    "long keys that are deep": ("".join(f"{'k' * 30}{n}: {{" for n in range(90)) + "}" * 90, "too long"),
    "a large file": ("a: " + "x" * 10_000_000, "larger than a configuration may be"),
    "a long number": (SOURCE % ("0x" + "f" * 100_000), "is larger than a number can be"),
    "a long number in sixties": (SOURCE % ("1" + ":1" * 50_000), "is larger than a number can be"),
    "a long formula": (SOURCE % ("'" + "1+" * 50_000 + "1'"), "2,000 are the most"),
    "many periods": ("periods: [" + "week, " * 15_000 + "]\n" + SOURCE % 1, "week is listed twice"),
    "many variables": ("a: '" + "${LONG}" * 15_000 + "'", "with its variables"),
    "a long duration": (f"backfill: {{lag: '{'1' * 100_000}x'}}\n" + SOURCE % 1, "must be a duration"),
    "a longer duration": (f"backfill: {{lag: '{'1' * 100_000}w'}}\n" + SOURCE % 1, "longer than a duration can be"),
    "a long zone": (f"timezone: {'x/' * 50_000}\n" + SOURCE % 1, "no time zone is called"),
    "many unknown keys": ("".join(f"k{n}: 1\n" for n in range(10_000)), "unknown key"),
    "half a variable": ("a: '" + "${a" * 30_000 + "'", "write $${ for a plain ${"),
}


@pytest.mark.parametrize(("text", "words"), BOMBS.values(), ids=BOMBS)
def test_no_file_costs_more_than_a_configuration_may(file: Path, text: str, words: str) -> None:
    assert any(words in told for told in refused(file, text, LONG="y" * 1000))


def test_of_many_problems_the_first_are_told(file: Path) -> None:
    told = refused(file, "".join(f"k{n}: 1\n" for n in range(5000)))
    assert len(told) == 50


def test_an_endless_file_is_read_no_further_than_a_configuration_goes() -> None:
    with pytest.raises(ConfigError):
        load_config("/dev/zero", environ={})


def test_a_large_honest_file_is_read(file: Path) -> None:
    mapped = ", ".join(f"word{n}: {n}" for n in range(4000))
    text = SOURCE % "n" + f"    let: {{n: {{path: a, map: {{{mapped}}}}}}}\n"
    text = text.replace("- {name", "- name").replace(", collection", "\n    collection")
    for key in ("action", "user", "at", "points"):
        text = text.replace(f", {key}:", f"\n    {key}:")
    file.write_text(text.replace("points: n}", "points: n"), "utf-8")
    assert len(text) < LARGEST
    assert len(load_config(file, environ={}).sources[0].let["n"].map or {}) == 4000
