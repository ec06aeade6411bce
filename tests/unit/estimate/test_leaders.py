"""Whom a verification of a sample looks at: told from a few users, beside all users of a made-up app looked at."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.estimate import leaders
from lbmigrate.estimate.leaders import ODD, TOP, Looked, Person, looked_at, periods
from lbmigrate.estimate.tasks import _settled
from lbmigrate.estimate.users import person
from tests.apps import NEW_YEAR

USERS, EVENTS, DRAWN = 400, 20_000, 120
Board = tuple[list[Person], list[int]]


def board(kinds: Sequence[str], days: int, users: int = USERS, events: int = EVENTS) -> Board:
    """All users, some of whom do much more than others, in the order of their ids; and the user of each event."""
    lot = random.Random(1)
    reach = [lot.lognormvariate(0, 0.8) for _ in range(users)]
    owners = lot.choices(range(users), reach, k=events)
    done: dict[int, list[tuple[dt.datetime, float]]] = defaultdict(list)
    for owner in owners:
        done[owner].append((NEW_YEAR + dt.timedelta(days=lot.random() * days), 10))
    return [person(kinds, done[owner]) for owner in range(users)], owners


def first_of(people: Sequence[Person]) -> set[int]:
    """Who is among the first of any period, of equal scores the highest ids."""
    places: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for number, each in enumerate(people):
        for kind, scores in each.scores.items():
            for period, score in scores.items():
                places[kind, period].append((score, number))
    return {number for found in places.values() for _, number in sorted(found)[-TOP:]}


@pytest.mark.parametrize("kinds", [("global", "week"), ("global", "day", "month"), ("global",)])
def test_whom_a_few_users_tell_of_is_whom_a_verification_looks_at(kinds):
    people, owners = board(kinds, 500)
    lot = random.Random(2)
    chosen = first_of(people) | set(lot.sample(range(USERS), DRAWN + ODD))
    drawn = lot.choices(owners, k=150)
    some = [people[owner] for owner in drawn]
    numbers = {kind: periods([people[owner] for owner in set(drawn)], kind, USERS) for kind in kinds}
    found = looked_at(some, EVENTS, USERS, numbers, DRAWN)
    assert found.users == pytest.approx(len(chosen), rel=0.2)
    assert found.events == pytest.approx(sum(people[each].events for each in chosen), rel=0.15)
    assert found.entries == pytest.approx(sum(people[each].entries for each in chosen), rel=0.15)


def test_a_board_by_day_has_nearly_everybody_looked_at_and_one_by_year_hardly_more_than_are_drawn():
    found = {}
    for kind, number in (("day", 500), ("year", 2)):
        people, owners = board((kind,), 500)
        some = [people[owner] for owner in owners[:150]]
        found[kind] = looked_at(some, EVENTS, USERS, {kind: number}, DRAWN).users
    by_day, by_year = found["day"], found["year"]
    assert by_day > 1.5 * by_year
    assert by_year < DRAWN + ODD + 2 * TOP


@given(users=st.integers(1, 60), events=st.integers(1, 300), drawn=st.integers(0, 80))
def test_nobody_is_looked_at_twice_and_none_that_is_not_there(users, events, drawn):
    people, owners = board(("global", "day"), 30, users, events)
    some = [people[owner] for owner in owners[:40]]
    found = looked_at(some, events, users, {"global": 1, "day": 30}, drawn)
    assert 0 <= found.users <= users
    assert 0 <= found.events <= events * (1 + 1e-9)


def test_of_nobody_nothing_is_looked_at():
    assert looked_at([], 0.0, 0.0, {"day": 0.0}, 0.0) == Looked()


def test_periods_are_told_from_those_that_were_seen_and_a_mistaken_year_is_one_more():
    people, owners = board(("day",), 3_650, users=5_000, events=6_000)
    seen = [people[owner] for owner in set(owners[:150])]
    assert 365 < periods(seen, "day", 5_000) < 36_500
    mistaken = person(("day",), [(dt.datetime(1970, 1, 1), 10), (NEW_YEAR, 10)])
    assert periods([mistaken], "day", 1) == 2


def test_the_first_of_a_period_begin_where_so_many_are_above():
    people = [Person(1, {"week": {"2025-W01": score}}) for score in (30.0, 20.0, 10.0, 10.0)]
    found = leaders.line(people, "week", 40, 1)
    assert (found.score, found.tied, found.left) == (30.0, pytest.approx(10), pytest.approx(10))
    assert leaders.line(people, "week", 80, 2).wins(0.5) == 1.0
    assert leaders.line(people, "week", 8, 1).score < 0  # all eight are among the first ten


def reading(entered: float, in_hand: float, first: bool = True) -> Any:
    return SimpleNamespace(first=first, entered=entered, in_hand=in_hand)


@pytest.mark.parametrize(
    ("found", "there", "settled"),
    [
        ([reading(60, 20)], 75, 60),  # of 20 in hand 15 are in the ledger
        ([reading(80, 20)], 75, 80),  # the last chunk was closed after the ledger was counted
        ([reading(60, 20), reading(0, 0, first=False)], 1_080, 1_060),  # another source is done
        ([reading(0, 0)], 500, 500),
        ([], 500, 500),
    ],
)
def test_events_of_a_chunk_in_hand_are_not_there_yet(found, there, settled):
    assert _settled(cast(Any, found), there) == settled
