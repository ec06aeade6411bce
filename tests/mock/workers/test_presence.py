"""A Dask cluster that has no workers."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.workers.dask_cluster import LOOK, Presence
from lbmigrate.workers.dask_hints import DESERTED, hints

THERE = hints("tcp://10.0.0.7:8786")


class Own:
    """A cluster of this host."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def scale(self, number: int) -> None:
        self.sizes.append(number)


class Cluster:
    """A scheduler, as its client sees it."""

    def __init__(self) -> None:
        self.now, self.workers, self.asked = 0.0, 1, 0
        self.cluster: Own | None = None

    def ncores(self) -> dict[str, int]:
        self.asked += 1
        if self.workers < 0:
            raise TimeoutError("no answer")
        return {f"tcp://{each}": 1 for each in range(self.workers)}

    def wait(self, presence: Presence, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.now += 0.1
            presence.check()


def test_a_cluster_that_loses_all_its_workers_is_waited_for_only_so_long():
    cluster = Cluster()
    presence = Presence(cluster, lambda: 2, THERE, lambda: cluster.now)
    cluster.wait(presence, 300)
    assert cluster.asked <= 300 / LOOK
    cluster.workers = 0
    cluster.wait(presence, DESERTED - 2 * LOOK)
    cluster.workers = 1
    cluster.wait(presence, 20)
    cluster.workers = 0
    with pytest.raises(LbmigrateError, match="no worker has been at the Dask scheduler for 60 s") as told:
        cluster.wait(presence, DESERTED + 2 * LOOK)
    assert "dask worker tcp://10.0.0.7:8786" in told.value.hint
    assert told.value.hint.endswith(f"then {AGAIN}"), "which need not be a run: a reconciliation has one too"


def test_a_scheduler_that_does_not_answer_is_told_by_the_task_that_is_waited_for():
    cluster = Cluster()
    cluster.workers = -1
    cluster.wait(Presence(cluster, lambda: 2, THERE, lambda: cluster.now), 300)


def test_a_cluster_of_this_host_is_kept_at_as_many_as_were_ever_wanted():
    cluster, wanted = Cluster(), [2]
    cluster.cluster = Own()
    presence = Presence(cluster, lambda: wanted[0], hints(None), lambda: cluster.now)
    for wanted[0] in (2, 4, 1):
        cluster.wait(presence, 2 * LOOK)
    assert cluster.cluster.sizes[0] == 2
    assert cluster.cluster.sizes[-1] == 4, "who is at work is not sent home"


def test_who_waits_for_a_worker_is_told_so_once_each_time_that_there_is_none():
    cluster = Cluster()
    presence = Presence(cluster, lambda: 2, THERE, lambda: cluster.now)
    told = []
    for cluster.workers in (1, 0, 1, 0):
        cluster.wait(presence, 4 * LOOK)
        told.append(presence.news())
    assert [len(each) for each in told] == [0, 1, 0, 1]
    assert (
        "no worker is at the Dask scheduler; the run waits 60 s for one: dask worker tcp://10.0.0.7:8786" in told[1][0]
    )


def test_what_is_said_of_a_cluster_of_this_host_names_no_scheduler_that_an_operator_could_start():
    own = asdict(hints(None))
    assert not [each for each in own.values() if "scheduler" in each or "dask worker" in each], own
    assert {name for name in own if AGAIN in own[name]} == set(own) - {"waiting", "unready"}
