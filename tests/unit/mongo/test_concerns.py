"""From which members what is read: by the configuration, and by what a URI says of these members."""

from __future__ import annotations

import datetime as dt

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Nearest

from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import overruled, readable
from lbmigrate.records import Document
from tests.apps import App, config

URI = "mongodb://h/?readPreference=secondary&readPreferenceTags=dc:ny,use:jobs&readPreferenceTags=&MaxStalenessSeconds=120"


@pytest.fixture
def database():
    with MongoClient[Document](connect=False) as client:
        yield client["app"]


def test_documents_are_read_where_the_configuration_says_from_such_members_as_the_uri_says(database):
    found = readable(database, "nearest", URI)
    assert found.read_preference == Nearest([{"dc": "ny", "use": "jobs"}, {}], max_staleness=120)
    assert found.read_concern == ReadConcern("majority")
    assert readable(database, "nearest", "mongodb://h/").read_preference == Nearest()


def test_a_uri_alone_sends_no_reading_away_from_the_primary(database):
    assert readable(database, "primary", URI).read_preference == ReadPreference.PRIMARY
    assert len(overruled(URI)) == 4
    assert overruled(URI, "nearest") == ["readPreference=secondary"], "the other three are heeded"


@pytest.mark.parametrize(
    "option", ["maxStalenessSeconds=89", "maxStalenessSeconds=many", "readPreferenceTags=ny", "maxStalenessSeconds=0"]
)
def test_a_member_that_no_driver_can_find_is_refused_in_words(database, option):
    with pytest.raises(UsageError, match=f"understands {option}") as told:
        readable(database, "secondary", f"mongodb://h/?{option}&appName=a")
    assert "maxStalenessSeconds=90 or more" in told.value.hint


@pytest.mark.parametrize(
    ("preference", "options", "seconds"),
    [("primary", "", 0), ("secondary", "", 90), ("secondary", "/?maxStalenessSeconds=600", 600)],
)
def test_a_pass_begins_as_far_before_its_watermark_as_what_is_read_may_be_behind(
    database, preference, options, seconds
):
    for lag in (0, 300):
        backfill = {"lag": dt.timedelta(seconds=lag), "read_preference": preference}
        settings = config(backfill=backfill, database={"uri": f"mongodb://h{options}", "name": "app"})
        context = App(database, settings).context()
        assert context.late() == dt.timedelta(seconds=max(lag, seconds))
        assert context.sources.read_preference == context.target.read_preference == ReadPreference.PRIMARY
