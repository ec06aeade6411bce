from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.run.jobs import evenly

numbers = st.integers(1, 10**6)


@given(total=st.integers(0, 10**6), most=numbers, hands=st.integers(1, 64), least=numbers)
def test_no_hand_works_once_more_than_it_needs_to(total, most, hands, least):
    at_a_time = evenly(total, most, hands, least)
    rounds = -(-total // (most * hands))
    assert min(most, least) <= at_a_time <= most
    assert -(-total // at_a_time) <= rounds * hands


def test_what_is_not_much_is_shared_out_and_what_is_little_is_not():
    shares = [evenly(total, 2_000, 2, 500) for total in (0, 300, 1_200, 3_164, 4_001, 10**6)]
    assert shares == [2_000, 500, 600, 1_582, 1_001, 2_000]
