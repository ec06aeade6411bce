"""What is read a second is read evenly: from chunk to chunk, within a chunk, and up to the very end."""

from __future__ import annotations

import pytest

from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import s4_backfill
from lbmigrate.run.pace import Pace
from lbmigrate.run.stop import Stop
from tests.apps import UNHURRIED, App, config, task, user

PER_SECOND, ALL = 10, 60


class Clock(Stop):
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.now = 0.0
        super().__init__(monotonic=lambda: self.now, sleep=self._sleep_on)

    def _sleep_on(self, seconds):
        self.now += max(seconds, 1e-6)


@pytest.fixture
def app(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(ALL)])
    throttle = {**UNHURRIED, "documents_per_second": PER_SECOND}
    return App(database, config(backfill={"chunk_size": 10_000, "workers": 1}, throttle=throttle))


def seen(app, pace, clock):
    """When each piece of the source came, and what it said was done."""
    found = []

    def listen(report):
        if report.piece and report.piece.subject == "tasks" and report.piece.total:
            found.append((clock.now, report.piece.done))

    Driver(app.context(pace=pace, stop=clock), listen=listen).apply([s4_backfill])
    return found


def test_progress_follows_the_clock_and_nothing_waits_when_all_is_read(app):
    clock = Clock()
    found = seen(app, Pace(1, lambda: clock.now), clock)
    assert [done for _, done in found] == [20, 40, 60], "chunks of two seconds, however large they might be"
    for at, done in found:
        assert done - PER_SECOND <= at * PER_SECOND, "never ahead of the clock"
        assert at * PER_SECOND <= done + 2 * 20, "and behind by no more than the chunk at hand and the next"
    assert clock.now <= ALL / PER_SECOND, "what is shown as all of it is all of it"


def test_a_chunk_that_an_earlier_run_cut_large_is_read_evenly_too(app, monkeypatch):
    monkeypatch.setattr(Pace, "chunk", lambda self, most: most)
    clock, pace, added = Clock(), None, []
    pace = Pace(1, lambda: clock.now)
    take = pace.take

    def taken(documents, stop):
        take(documents, stop)
        added.append((clock.now, documents))

    monkeypatch.setattr(pace, "take", taken)
    assert [done for _, done in seen(app, pace, clock)] == [ALL]
    sizes = [documents for _, documents in added]
    assert sum(sizes) == ALL
    assert max(sizes) <= PER_SECOND / 2
    before = [sum(sizes[:number]) for number in range(len(sizes))]
    assert [round(at, 3) for at, _ in added] == [documents / PER_SECOND for documents in before]
