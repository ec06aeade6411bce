"""Two configurations in one database: a reconciliation by one takes nothing back that counts by the other."""

from __future__ import annotations

import re

import pytest

from lbmigrate import commands
from lbmigrate.errors import Refused
from lbmigrate.run.context import Scope, VerifyOptions
from tests.apps import SESSIONS, TASKS, config
from tests.mock.reconcile.test_emptied import app, connected, derived, scored  # noqa: F401  a fixture

pytestmark = pytest.mark.sampled


def by(app, *sources):  # noqa: F811
    return connected(app.client, config(*sources))


@pytest.fixture
def sessions(app):  # noqa: F811
    """The board of tasks and sessions as a configuration sees it that knows of sessions alone."""
    return by(app, SESSIONS)


@pytest.mark.parametrize("before", ["nothing", "backfill", "backfill --full"])
def test_a_reconciliation_stops_before_it_takes_back_what_another_configuration_counts(sessions, before):
    if before != "nothing":
        commands.backfill(sessions, scope=Scope(full=before != "backfill"))
    held = derived(sessions)
    with pytest.raises(Refused) as refused:
        commands.reconcile(sessions)
    assert "120 points of actions without a source would be taken back, since their source is gone" in str(
        refused.value
    )
    assert "source tasks is gone since the ledger was scored" in str(refused.value)
    assert "put all sources that count there into one configuration" in refused.value.hint
    with pytest.raises(Refused, match="since their source is gone"):
        commands.repair(sessions, options=VerifyOptions(full=True))
    assert derived(sessions) == held


def test_one_configuration_with_all_sources_ends_it(sessions):
    commands.backfill(sessions)
    whole = by(sessions, TASKS, SESSIONS)
    commands.reconcile(whole)
    assert scored(whole) == 12 * 10 + 4 * 25
    assert commands.verify(whole, options=VerifyOptions(full=True))["passed"]
    assert not {each.subject for each in commands.plan(whole).findings} & {"rules", "drift"}


def test_a_source_that_is_meant_to_go_goes_by_its_number_which_plan_names(sessions):
    findings = {each.subject: each for each in commands.plan(sessions).findings}
    [number] = re.findall(r"lbmigrate reconcile --allow (\d+)", findings["rules"].fix)
    commands.reconcile(sessions, allow=int(number))
    assert scored(sessions) == 4 * 25
    assert commands.verify(sessions, options=VerifyOptions(full=True))["passed"]
    commands.reconcile(sessions)
