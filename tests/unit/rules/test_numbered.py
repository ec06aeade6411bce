from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.rules.numbered import SPAN, numbered
from lbmigrate.rules.periods import label

FIRST, LAST = ((at - dt.date(1970, 1, 1)).days for at in (dt.date(1900, 1, 1), dt.date(2199, 12, 31)))


@pytest.mark.parametrize("kind", ["global", "day", "week", "year"])
@given(days=st.lists(st.sampled_from([FIRST, LAST]) | st.integers(FIRST, LAST) | st.integers(0, 30), max_size=40))
def test_the_periods_of_a_column_of_days_are_those_of_each_day(kind, days):
    numbers, names = numbered(kind, np.array(days, dtype=np.int64))
    assert [names[number] for number in numbers.tolist()] == [label(kind, day) for day in days]
    assert sorted(names) == sorted({label(kind, day) for day in days})


def test_days_that_are_as_far_apart_as_a_table_has_no_room_for_are_among_those():
    assert LAST - FIRST >= SPAN
