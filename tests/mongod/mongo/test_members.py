"""Sources that are read from other members than the primary, typed by an operator."""

from __future__ import annotations

import pytest

from tests.apps import session, task, user

pytestmark = pytest.mark.usefixtures("mongod")


@pytest.mark.slow
def test_a_bound_that_no_driver_takes_is_refused_and_the_one_of_the_hint_is_heeded(terminal, database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    database["sessions"].insert_one(session(1))
    terminal.configure(backfill={"read_preference": "secondaryPreferred"})
    given = f"{terminal.uri}&maxStalenessSeconds"
    found = terminal("run", "--uri", f"{given}=5")
    assert (found.code, "no driver understands maxStalenessSeconds=5" in found.err) == (2, True), found.err
    assert found.hint.startswith("write maxStalenessSeconds=90 or more")
    done = terminal("run", "--uri", f"{given}=90")
    assert (done.code, "is not used" in done.err) == (0, False), done.err
    assert database["score_events"].count_documents({}) == 6
