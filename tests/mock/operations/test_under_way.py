"""What `status` says of a run from another terminal while it goes from step to step, and when it broke off."""

from __future__ import annotations

import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.console.looks import looks
from lbmigrate.migration.runner import Terms
from lbmigrate.run.connection import connection as connected
from tests.apps import SESSIONS, TASKS


@pytest.fixture
def connection(client, terminal):
    return connected(client, load_config(terminal.configure(TASKS, SESSIONS)))


def seen(connection, wanted, work=commands.run, **options):
    """How everything stands at each report that is `wanted`."""
    found = []

    def listen(report):
        if wanted(report):
            found.append(commands.status(connection))

    work(connection, terms=Terms(listen=listen, workers=3), **options)
    return found


def begins(number):
    return lambda report: (report.event, report.work.number) == ("begin", number)


def of_step(number):
    return lambda report: bool(report.piece) and report.work.number == number


def test_how_far_a_step_was_is_not_told_of_the_next(app, connection):
    last = seen(connection, of_step(2), no_backup=True, to=2)[-1]
    assert [each.subject for each in last.progress] == ["indexes"]
    commands.rollback(connection)
    (shown,) = seen(connection, begins(3), no_backup=True)
    assert shown.progress == ()


def test_the_workers_that_are_asked_for_are_told_from_the_first_step_on(app, connection):
    told = [each.running["progress"]["workers"] for each in seen(connection, of_step(2), no_backup=True)[1:]]
    assert told
    assert set(told) == {3}


@pytest.mark.parametrize(("work", "options"), [(commands.backfill, {}), (commands.rollback, {})])
def test_a_step_that_is_under_way_is_not_finished(app, connection, work, options):
    commands.run(connection, no_backup=True)
    before = commands.status(connection).steps[3].finished_at
    shown = seen(connection, begins(4), work, **options)[0].steps
    assert (before is not None, shown[3].finished_at) == (True, None)
    assert shown[0].finished_at is not None, "which nobody has touched yet"


def test_no_recount_is_asked_for_while_a_first_backfill_reads(app, connection):
    first = seen(connection, of_step(4), no_backup=True, to=4)[0]
    assert list(looks(first)) == []
    assert [name for name, _ in looks(commands.status(connection))] == ["whole look", "reconciled"]
