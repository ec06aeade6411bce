"""A board in Redis against a plain dictionary: whatever the order in which scores arrive, and rebuilt amid it all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate.board.sorted_sets import GHOST, Batch, Outdated, Showing, SortedSets, Standing
from tests.valkey import running

MEMBERS = "abcd"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


class Writers:
    """Entries as a dictionary, and publications of them on their way: read at one time, arriving at another."""

    def __init__(self, client):
        client.flushall()
        self.publisher, self.rebuilder = SortedSets(client, "lb:{period}"), SortedSets(client, "lb:{period}")
        self.entries = {member: Standing(member, 0, "0000") for member in MEMBERS}
        self.under_way = []

    def write(self, member, score, showing):
        version = f"{int(self.entries[member].version) + 1:04}"
        self.entries[member] = Standing(member, score, version, showing)
        self.read(member)

    def read(self, member):
        generation = self.publisher.generation("week")
        self.under_way.append((self.entries[member], generation))

    def arrive(self, place, again):
        if not self.under_way:
            return
        place %= len(self.under_way)
        standing, generation = self.under_way[place]
        try:
            self.publisher.publish("week", [standing], generation)
            if not again:
                del self.under_way[place]
        except Outdated:
            del self.under_way[place]
            self.read(standing.member)

    def rebuild(self, amid):
        def standings():
            for member in MEMBERS:
                read = self.entries[member]
                for step in amid:
                    step(self)
                yield Batch({}, [read])

        settle = self.rebuilder.rebuild("week", standings(), None)
        generation = self.rebuilder.generation("week")
        self.rebuilder.publish("week", [self.entries[member] for member in settle], generation)


writes = st.builds(
    lambda member, score, showing: lambda world: world.write(member, score, showing),
    st.sampled_from(MEMBERS), st.integers(-5, 2**53), st.sampled_from(Showing),
)  # fmt: skip
arrivals = st.builds(lambda place, again: lambda world: world.arrive(place, again), st.integers(0, 9), st.booleans())
steps = st.one_of(writes, arrivals, arrivals)
rebuilds = st.builds(lambda amid: lambda world: world.rebuild(amid), st.lists(steps, max_size=3))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(st.one_of(steps, steps, rebuilds), max_size=25))
def test_whatever_the_order_the_board_ends_as_the_entries(valkey, walk):
    world = Writers(valkey.client)
    world.rebuild([])
    for step in walk:
        step(world)
    while world.under_way:
        world.arrive(0, again=False)
    shown = {each.member: each.score for each in world.entries.values() if each.showing == Showing.SHOWN}
    hidden = sorted(each.score for each in world.entries.values() if each.showing == Showing.HIDDEN)
    found = dict(world.publisher.standings("week"))
    assert {member: score for member, score in found.items() if not member.startswith(GHOST)} == shown
    assert sorted(score for member, score in found.items() if member.startswith(GHOST)) == hidden
    standings = [each for each in world.entries.values() if each.showing != Showing.GONE]
    assert world.publisher.scores("week", standings) == [each.score for each in standings]


def test_of_two_rebuilds_at_once_the_later_one_counts(valkey):
    client = valkey.client
    client.flushall()
    first, second = SortedSets(client, "lb:{period}"), SortedSets(client, "lb:{period}")

    def overtaken():
        second.rebuild("week", [Batch({}, [Standing("a", 2, "2")])], None)
        yield Batch({}, [Standing("a", 1, "1")])

    with contextlib.suppress(Exception):
        first.rebuild("week", overtaken(), None)
    assert dict(second.standings("week")) == {"a": 2}
    assert second.above("week", 1) == 1


def test_all_keys_of_a_board_are_in_one_slot_of_a_cluster(valkey):
    keys = SortedSets(valkey.client, "app:lb:{period}").keys("2025-W44")
    assert keys[0] == "app:lb:2025-W44"
    assert len({valkey.client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}) == 1
