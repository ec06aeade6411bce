"""What yardsticks say of a machine, and how sure an estimate is then: yardsticks are injected, no test takes a time."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.estimate import calibration, yardstick
from lbmigrate.estimate.calibration import Doubts, doubts, together, trusted
from lbmigrate.estimate.estimate import Range
from lbmigrate.estimate.fitted import fitted
from lbmigrate.estimate.yardstick import Client, Taken
from tests.unit.estimate.test_model import AROUND

FITTED = fitted()
USUAL = FITTED.yardsticks["client"]


def doubts_of(*busy: float, speeds: Sequence[float] = (1.0,), server: Taken | None = None) -> Doubts:
    here = Client([Taken(USUAL * speed, each) for speed in speeds for each in busy])
    seen = Taken(here.seconds / USUAL, here.busy)
    return doubts(here, seen, server or seen, FITTED)


def bounds(of: Doubts) -> tuple[float, float]:
    """How many times as long as is likely a run may take at least and at most."""
    found = Range.around(1.0, together(FITTED.errors["seconds"], of.clock))
    return found.low, found.high


def test_an_idle_machine_like_the_reference_adds_no_doubt():
    assert doubts_of(1.0, 1.0, 1.0) == Doubts(0.0, 0.0, 0.0)


@pytest.mark.parametrize("busy", [1.5, 2.8, 6.0])
def test_a_busy_machine_may_be_idle_a_moment_later_or_twice_as_busy(busy: float):
    low, high = bounds(doubts_of(busy, busy, busy))
    assert low <= 1 / busy
    assert high >= (2 * busy - 1) / busy


def test_a_database_that_took_three_times_within_minutes_lies_within_the_bounds_of_each():
    """9.0 s on an idle machine; 14.3 and 34.8 s under load, which the yardstick saw."""
    for busy in (14.3 / 9.0, 34.8 / 9.0):
        low, high = bounds(doubts_of(busy, busy, busy))
        assert low * 9.0 * busy <= 9.0 <= high * 9.0 * busy
    _, high = bounds(doubts_of(1.1, 3.6, 1.2))
    assert high * 9.0 * (1.1 * 3.6 * 1.2) ** (1 / 3) > 34.8


def test_a_yardstick_that_moves_from_one_take_to_the_next_widens_the_bounds():
    steady, swayed, moved = doubts_of(1.2, 1.2), doubts_of(1.0, 1.44), doubts_of(1.2, speeds=(0.7, 1.3))
    assert swayed.clock > steady.clock
    assert moved.clock > steady.clock
    assert moved.client > steady.client == 0.0
    assert moved.server > steady.server == 0.0


@given(speed=st.floats(0.1, 10), further=st.floats(1.01, 3))
def test_the_further_a_machine_is_from_the_reference_the_wider_are_the_bounds(speed: float, further: float):
    beyond = speed * further if speed >= 1 else speed / further
    near, far = doubts_of(1.0, speeds=(speed,)), doubts_of(1.0, speeds=(beyond,))
    assert far.clock > near.clock
    assert far.client > near.client


@given(busy=st.lists(st.floats(1, 20), min_size=1, max_size=3))
def test_what_is_seen_never_makes_an_estimate_surer(busy: list[float]):
    assert doubts_of(*busy).clock >= doubts_of(1.0).clock


def test_a_server_elsewhere_that_is_busy_or_unknown_is_doubted_too():
    idle, busy = (doubts_of(1.0, server=Taken(1.0, each)) for each in (1.0, 2.0))
    assert busy.clock > idle.clock == 0.0
    unknown = doubts(Client([Taken(USUAL, 1.0)]), Taken(1.0, 1.0), None, FITTED)
    assert unknown.server >= calibration.DIFFER
    assert unknown.clock >= calibration.DIFFER


def test_shares_for_several_reasons_are_more_than_each_and_less_than_all():
    assert together(0.2) == pytest.approx(0.2)
    assert 0.3 < together(0.2, 0.3) < 1.2 * 1.3 - 1


def test_a_machine_that_is_busy_now_and_then_is_as_busy_as_between_them():
    assert 1.0 < Client([Taken(1.0, 1.0), Taken(1.0, 4.0)]).busy < 4.0
    assert Client([Taken(1.0, 0.97)]).busy == 1.0


def test_no_calculation_of_a_yardstick_gets_faster_with_the_product():
    """Else every machine looked fast after an improvement, until the constants are fitted again."""
    names = [
        node.module for node in ast.walk(ast.parse(inspect.getsource(yardstick))) if isinstance(node, ast.ImportFrom)
    ]
    ours = {name for name in names if name and name.startswith("lbmigrate")}
    assert ours == {"lbmigrate.records", "lbmigrate.estimate.surroundings"}  # a type, and the number of cores


def test_a_yardstick_that_is_taken_has_used_the_processor_and_no_less_of_the_clock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(yardstick, "DOCUMENTS", 20)
    monkeypatch.setattr(yardstick, "TIMES", 2)
    here = Client()
    here.take()
    assert here.seconds > 0
    assert here.busy >= 1.0


def test_a_speed_is_believed_the_less_the_more_the_yardstick_moves_by_itself():
    assert trusted(2.0, 0.0) == pytest.approx(2.0)
    assert 1.0 < trusted(2.0, 0.5) < trusted(2.0, 0.2) < 2.0
    assert trusted(1.0, 0.3) == pytest.approx(1.0)


def test_cores_that_the_server_does_not_tell_are_said_to_be_those_that_are_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lbmigrate.estimate.calibration.cores_here", lambda: 6)
    silent = cast(Any, SimpleNamespace(sources=SimpleNamespace(command=lambda _: None)))
    here = Client([Taken(USUAL, 1.0)])
    found = calibration.calibrated(silent, here, replace(AROUND, cores=None, shared=True), FITTED)
    assert found.machine.server_cores == 6
    assert found.assumed == ("the server does not say how many cores it has: taken as 6, as this machine has",)
