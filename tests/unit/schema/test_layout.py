"""Which collection holds the entries of a period."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import ALL, Layout, is_partition, may_have_own, partition, period_of

PERIODS = ["2025", "2025-11", "2025-11-04", "2025-W44", "0987-W01", "9999-12-31"]


@given(st.text(), st.text())
def test_no_two_periods_have_the_same_collection(one, other):
    assert period_of(partition(one)) == one
    assert (partition(one) == partition(other)) is (one == other)


@given(st.text())
def test_the_name_of_a_collection_has_nothing_that_a_server_refuses_in_one(period):
    name = partition(period)
    assert name.startswith(f"{ENTRIES}__")
    assert name.isascii()
    assert not set(name) & {"$", "\0", " ", "."}


def test_a_week_has_the_collection_that_is_named_like_it():
    assert partition("2025-W44") == "leaderboard_entries__2025_W44"


@given(st.sampled_from(PERIODS), st.sampled_from(["", *PERIODS, ALL]))
def test_periods_up_to_the_last_that_has_moved_are_in_collections_of_their_own(period, until):
    assert Layout(until).home(period) == (partition(period) if period <= until else ENTRIES)


@given(st.sampled_from(["global", "$gt", "2025-W44 ", "2025-W44\n", "٢٠٢٥", "", "x" * 500]))
def test_what_is_no_period_of_ours_stays_in_the_base_collection(period):
    assert not may_have_own(period)
    assert Layout(ALL).home(period) == ENTRIES


def test_a_collection_whose_name_only_begins_alike_is_none_of_ours():
    assert is_partition("leaderboard_entries__2025_W44")
    for name in (
        "leaderboard_entries",
        "leaderboard_entries__",
        "leaderboard_entries__old",
        "leaderboard_entries__2025-W44",
    ):
        assert not is_partition(name)


def test_a_damaged_record_of_the_layout_counts_as_a_move_that_is_not_over():
    assert Layout.of({}) == Layout()
    assert Layout.of({"until": 7, "moving": "no"}) == Layout(ALL, moving=True)
    assert Layout.of({"until": "2025", "moving": False, "archived": ["2024"]}).archived == {"2024"}
