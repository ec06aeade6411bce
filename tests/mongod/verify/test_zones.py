"""The periods of every zone are those of the client's table, whatever the server's table says or lacks."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import PERIODS
from lbmigrate.verify.local_time import changes, period_label
from tests.apps import App, config, oid, task, user

# Of these the server that the tests start has other rules than the client, or none at all.
DIFFERING = ("America/Mexico_City", "America/Ciudad_Juarez", "Europe/Kyiv", "Asia/Amman", "America/Nuuk", "Asia/Almaty")
EVERYONE = VerifyOptions(full=True)


@pytest.mark.slow
@pytest.mark.parametrize("zone", DIFFERING)
def test_entries_of_a_zone_that_the_server_knows_otherwise_or_not_at_all_are_verified(database, zone):
    """A task in every hour of two weeks in the summer of 2023, Sunday nights among them."""
    database["users"].insert_one(user(1))
    begin = dt.datetime(2023, 7, 1)
    hourly = [begin + dt.timedelta(hours=number) for number in range(24 * 14)]
    database["tasks"].insert_many([task(n, completedAt=at, updatedAt=at) for n, at in enumerate(hourly)])
    app = App(database, config(timezone=zone, periods=list(PERIODS), backfill={"chunk_size": 1000}))
    app.apply(STEPS[:4])
    app.apply(STEPS[4:5], verify=EVERYONE)
    assert app.state.get("verdict")["passed"]
    weeks = {key.partition(":")[0] for key in app.entries() if "-W" in key}
    local = [at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)) for at in hourly]
    assert weeks == {at.strftime("%G-W%V") for at in local}
    assert app.entries()[f"2023-W27:{oid(1)}"]["score"] == 10 * sum(at.strftime("%V") == "27" for at in local)


@pytest.mark.slow
def test_a_server_computes_the_local_time_of_every_change_as_zoneinfo_does(database):
    for zone in (*DIFFERING, "Africa/Monrovia", "Pacific/Apia", "America/St_Johns"):
        edges = [at + dt.timedelta(seconds=s) for at, _ in changes(zone)[1:] for s in (-1, 0, 1)]
        database["times"].delete_many({})
        database["times"].insert_many([{"at": at} for at in edges])
        told = {"$project": {"at": 1, "local": period_label("$at", "%Y-%m-%dT%H:%M:%S", zone)}}
        for row in database["times"].aggregate([told]):
            expected = row["at"].replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
            assert row["local"] == expected.strftime("%Y-%m-%dT%H:%M:%S"), zone
