"""A right that is missing is said once, by `doctor`, with what ends that; a run under cron keeps silent about it."""

from __future__ import annotations

import pytest
from pymongo.errors import OperationFailure

from lbmigrate.checks import topology
from lbmigrate.mongo import fake
from tests.apps import App, config


@pytest.fixture
def app(monkeypatch):
    def forbidden(*_):
        raise OperationFailure("not authorized on admin to execute command", 13)

    monkeypatch.setattr(topology, "members", forbidden)
    with fake.client() as client:
        yield client["app"]


def told(database, **throttle):
    found = topology.findings(App(database, config(throttle=throttle)).context())
    return [each for each in found if each.subject == "throttle"]


def test_what_may_not_be_seen_is_said_by_doctor_until_it_is_granted_or_done_without(app, monkeypatch):
    [finding] = told(app)
    assert finding.level == "warning"
    assert len(finding.fact) < 100
    assert "clusterMonitor" in finding.fix
    assert told(app, max_lag=None, max_queue=None) == []
    monkeypatch.setattr(topology, "members", lambda *_: [])
    assert told(app) == []
