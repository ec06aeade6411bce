"""A Dask cluster is asked for where Dask is not installed."""

from __future__ import annotations

import sys

import pytest

from tests.mongod.workers.apps import fill

pytestmark = pytest.mark.usefixtures("mongod")


def test_without_dask_nothing_is_begun_and_threads_do_what_its_workers_would_have_done(terminal, database, monkeypatch):
    fill(database, 60)
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = terminal("run", "--executor", "dask")
    assert (refused.code, "Dask is not installed here" in refused.err) == (2, True), refused.err
    assert refused.hint == "pip install 'lbmigrate[dask]', or leave out --executor: threads do that work"
    assert not list(database["lbmigrate_state"].find({"kind": {"$in": ["run", "lock"]}}))
    assert "score_events" not in database.list_collection_names()
    assert terminal("run").code == 0
