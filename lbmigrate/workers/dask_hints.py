"""What an operator does about a Dask cluster: about one that is there, and about one of this host."""

from __future__ import annotations

from dataclasses import dataclass

from lbmigrate.mongo.faults import AGAIN

DESERTED = 60.0  # seconds for which a run waits for a worker


@dataclass(frozen=True, slots=True)
class Hints:
    """The hints about one cluster, each named by what ends with it; `waiting` is news. Empty is that of the error."""

    no_cluster: str
    nobody: str
    waiting: str
    gone: str
    another_version: str
    killed: str
    unready: str


def hints(scheduler: str | None) -> Hints:
    """Those about the cluster of a scheduler, or without one about that of this host."""
    return _of_a_scheduler(f"dask worker {scheduler}") if scheduler else OF_THIS_HOST


def _of_a_scheduler(start: str) -> Hints:
    return Hints(
        no_cluster="dask scheduler starts one; without --scheduler it is a cluster of this host",
        nobody=f"start some: {start}, or leave out --executor; then {AGAIN}",
        waiting=f"no worker is at the Dask scheduler; the run waits {DESERTED:.0f} s for one: {start}",
        gone=f"start it, or leave out --executor; then {AGAIN}",
        another_version=f"have the same version on its workers; then {AGAIN}",
        killed=f"where memory ran out: a smaller backfill.chunk_size, or larger workers; then {AGAIN}",
        unready=f"start it again with the version, configuration and environment of this run: {start}; then {AGAIN}",
    )


OF_THIS_HOST = Hints(
    no_cluster=f"leave out --executor; then {AGAIN}",
    nobody=f"where memory ran out: fewer --workers, or leave out --executor; then {AGAIN}",
    waiting=f"no worker of the Dask cluster of this host is ready; the run waits {DESERTED:.0f} s for one",
    gone=AGAIN,
    another_version=f"leave out --executor; then {AGAIN}",
    killed=f"where memory ran out: a smaller backfill.chunk_size, or fewer --workers; then {AGAIN}",
    unready="",
)
