"""Entries that go on with newer events are those that the whole ledger comes to, or it is said that nobody can tell."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.rules.clocks import Clocks
from lbmigrate.rules.fold_newest import Newer, with_newer
from lbmigrate.rules.periods import label
from lbmigrate.rules.ranking import daily, entries
from lbmigrate.rules.vouching import MOST, OVERALL, counted
from lbmigrate.schema import PERIODS
from tests.zoned import CHANGES, ZONES

Event = tuple[dt.datetime, int]
KINDS = list(PERIODS)
NOON = dt.datetime(2025, 3, 5, 12)
DAY = dt.timedelta(days=1)
SAID = ("score", "streak", "events", "lastEventAt")


def moments() -> st.SearchStrategy[dt.datetime]:
    """Times around changes of clocks, some of them on days in a row."""
    minutes = st.integers(-4_320, 4_320) | st.sampled_from([0, -60, -30, 30, 60, 1440, 2880])
    return st.builds(lambda change, after: change + after * dt.timedelta(minutes=1), st.sampled_from(CHANGES), minutes)


EVENTS = st.lists(st.tuples(moments(), st.integers(-5, 50)), min_size=1, max_size=12)


def rolled_up(events: list[Event], clocks: Clocks, kinds: list[str]) -> dict[str, dict[str, Any]]:
    """The entries of one user, by period, as a roll-up of the whole ledger writes them."""
    sums = daily(["ada"] * len(events), [points for _, points in events], [at for at, _ in events], clocks)
    return {entry["period"]: {**entry, "rev": Int64(1)} for entry in entries(sums, kinds)}


def days_of(times: list[dt.datetime], clocks: Clocks) -> list[int]:
    found: list[int] = clocks.days(["ada"] * len(times), np.array(times, dtype="datetime64[ms]")).tolist()
    return found


def folded(before: list[Event], new: list[Event], clocks: Clocks, kinds: list[str]) -> list[dict[str, Any]] | None:
    """What becomes of the entries that there are before these events; None where the ledger has to be read."""
    present = rolled_up(before, clocks, kinds)
    last = present[OVERALL]["lastEventAt"]
    if clocks.put_back(["ada"], np.array([last], dtype="datetime64[ms]"))[0]:
        return None
    days = days_of([last, *(at for at, _ in new)], clocks)
    newer = [Newer(day, at, points) for day, (at, points) in zip(days[1:], new, strict=True)]
    periods = {label(kind, day) for kind in kinds for day in days[1:]} | {OVERALL}
    return with_newer({period: present[period] for period in periods & present.keys()}, newer, days[0], kinds)


@given(EVENTS, EVENTS, st.sampled_from(ZONES), st.sampled_from([0, 4 * 60, 150, 1439]), st.sets(st.sampled_from(KINDS)))
def test_what_goes_on_is_what_the_whole_ledger_comes_to(
    before: list[Event], new: list[Event], zone: str, starts: int, more: set[str]
) -> None:
    clocks, kinds = Clocks(zone, starts * 60_000), [OVERALL, *sorted(more - {OVERALL})]
    made = folded(before, new, clocks, kinds)
    if made is None:
        return
    whole = rolled_up([*before, *new], clocks, kinds)
    assert {e["period"] for e in made} == {
        label(kind, day) for kind in kinds for day in days_of([a for a, _ in new], clocks)
    }
    assert made == [{"period": e["period"], **{name: whole[e["period"]][name] for name in SAID}} for e in made]
    others = {period: entry for period, entry in whole.items() if period not in {e["period"] for e in made}}
    assert others == {period: entry for period, entry in rolled_up(before, clocks, kinds).items() if period in others}


@pytest.mark.parametrize(
    ("after", "streak"), [(dt.timedelta(), 2), (dt.timedelta(hours=5), 2), (DAY, 3), (2 * DAY, 1), (400 * DAY, 1)]
)
def test_actions_of_the_last_day_and_later_go_on(after: dt.timedelta, streak: int) -> None:
    made = folded([(NOON - DAY, 10), (NOON, 10)], [(NOON + after, 5)], Clocks(), KINDS)
    assert made is not None
    overall = next(entry for entry in made if entry["period"] == OVERALL)
    assert (overall["score"], overall["events"], overall["streak"]) == (25, 3, streak)
    assert all(type(entry[name]) is Int64 for entry in made for name in ("score", "events"))


def test_an_action_of_an_earlier_day_is_for_the_ledger_to_say() -> None:
    assert folded([(NOON, 10)], [(NOON + DAY, 10), (NOON - DAY, 10)], Clocks(), KINDS) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"counted": Int64(3)}, {"score": 20}, {"score": Int64(MOST + 1)}, {"events": 2.0}, {"events": None},
        {"streak": 0}, {"streak": 2.0}, {"lastEventAt": None}, {"rev": "1"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("period", [OVERALL, "2025-W10"])
def test_an_entry_that_looks_otherwise_than_it_must_is_for_the_ledger_to_say(odd: dict[str, Any], period: str) -> None:
    present = rolled_up([(NOON - DAY, 10), (NOON, 10)], Clocks(), KINDS)
    newer, (day,) = [Newer(days_of([NOON], Clocks())[0], NOON, 5)], days_of([NOON], Clocks())
    assert with_newer(present, newer, day, KINDS) is not None
    assert with_newer({**present, period: {**present[period], **odd}}, newer, day, KINDS) is None
    if period == OVERALL:
        assert counted({**present[period], **odd}) == -1


def test_where_an_entry_is_missing_or_too_much_the_ledger_has_to_be_read() -> None:
    present = rolled_up([(NOON, 10)], Clocks(), KINDS)
    (day,) = days_of([NOON], Clocks())
    without = {period: entry for period, entry in present.items() if period != "2025-W10"}
    assert with_newer(without, [Newer(day, NOON, 5)], day, KINDS) is None
    assert with_newer({}, [Newer(day, NOON, 5)], day, KINDS) is None
    beyond = {**present, "2025-W11": present["2025-W10"]}
    assert with_newer(beyond, [Newer(day + 7, NOON + 7 * DAY, 5)], day, KINDS) is None


def test_clocks_that_were_put_back_over_the_beginning_of_a_day_are_noticed() -> None:
    """In Paris it was 02:40 twice on 26 October 2025; days that begin at 02:30 began twice."""
    clocks, first, again = (
        Clocks("Europe/Paris", 150 * 60_000),
        dt.datetime(2025, 10, 26, 0, 40),
        dt.timedelta(minutes=30),
    )
    assert days_of([first, first + again], clocks) == [20387, 20386]
    assert folded([(first, 10), (first + again, 10)], [(first + DAY, 10)], clocks, KINDS) is None
    assert folded([(first, 10), (first + 3 * again, 10)], [(first + DAY, 10)], clocks, KINDS) is not None
