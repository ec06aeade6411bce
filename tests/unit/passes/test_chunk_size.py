from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.passes.chunk_size import ChunkSize

GROWTH = 1.2
chunks = st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 10**6)), max_size=50)
mosts = st.integers(1, 10**6)


def settled(size: ChunkSize, seconds_a_document: float, rounds: int = 100) -> int:
    """The size after so many chunks of the size asked for, at one pace."""
    for _ in range(rounds):
        size.note(size() * seconds_a_document, size())
    return size()


@given(most=mosts, chunks=chunks, target=st.floats(0.01, 60))
def test_a_chunk_is_never_larger_than_asked_for_nor_smaller_than_a_hundred(most, chunks, target):
    size = ChunkSize(most, target)
    for seconds, documents in chunks:
        size.note(seconds, documents)
        assert min(100, most) <= size() <= most


@given(most=mosts, chunks=chunks, target=st.floats(0.01, 60))
def test_a_chunk_is_at_most_a_fifth_larger_than_the_one_before(most, chunks, target):
    size = ChunkSize(most, target)
    for seconds, documents in chunks:
        before = size()
        size.note(seconds, documents)
        assert size() <= GROWTH * (before + 1)


@given(most=mosts, chunks=chunks)
def test_without_a_target_the_size_stays_where_it_is(most, chunks):
    size = ChunkSize(most, None)
    for seconds, documents in chunks:
        size.note(seconds, documents)
    assert size() == most


@pytest.mark.parametrize(("pace", "wanted"), [(0.001, 5_000), (0.01, 500), (1.0, 100), (1e-6, 10_000), (0.0, 10_000)])
def test_the_size_settles_where_a_chunk_takes_the_target(pace, wanted):
    assert settled(ChunkSize(10_000, 5.0), pace) == pytest.approx(wanted, rel=0.01)


def test_a_size_that_had_to_shrink_grows_back():
    size = ChunkSize(10_000, 5.0)
    assert settled(size, 0.05) == pytest.approx(100, abs=1)
    assert settled(size, 0.0001) == 10_000


def test_one_slow_chunk_does_not_decide_alone():
    size = ChunkSize(10_000, 5.0)
    settled(size, 0.001)
    size.note(50.0, 5_000)  # ten times as slow as usual
    assert size() > 500 * 2


def test_an_empty_chunk_says_nothing():
    size = ChunkSize(10_000, 5.0)
    size.note(1_000.0, 0)
    assert size() == 10_000
