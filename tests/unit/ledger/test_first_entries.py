"""Entries that are made of shared pieces, against the same ones made one by one."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import bson
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.ledger.changes import born
from lbmigrate.ledger.first_entries import encoded
from lbmigrate.ledger.sources import CODECS
from lbmigrate.records import Document
from lbmigrate.rules.ranking import daily, entries, folded

PERIODS = ("global", "week", "day", "month", "year")
NOW = dt.datetime(2030, 1, 2, 3, 4, 5, 678_000)
AT = dt.datetime(2025, 11, 3, 9, 30)
names = st.one_of(st.none(), st.text(max_size=20))
ids: dict[str, Any] = {
    "objectId": st.integers(0, 2**96 - 1).map(lambda number: ObjectId(f"{number:024x}")),
    "string": st.text(min_size=1, max_size=8).filter(lambda text: text.strip() != ""),
    "int": st.one_of(st.integers(-9, 1_000_000), st.integers(2**40, 2**41).map(Int64)),
    "uuid": st.uuids(),
}
events = st.tuples(
    st.integers(0, 5),
    st.one_of(st.integers(-50, 50), st.just(2**53)).map(Int64),
    st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2199, 12, 30)).map(lambda at: at.replace(microsecond=5_000)),
)


def profile(name: str | None, avatar: str | None, hidden: bool) -> Document:
    return {"optOutSnapshot": hidden, "displayNameSnapshot": name, "avatarSnapshot": avatar} | born(NOW)


def one_by_one(ledger: Any, profiles: list[Document], owners: list[Any]) -> list[bytes]:
    whose = {repr(owner): profile for owner, profile in zip(owners, profiles, strict=True)}
    made = (entry | whose[repr(entry["userId"])] for entry in entries(ledger, PERIODS))
    return [bson.encode(entry, codec_options=CODECS) for entry in made]


@given(
    st.sampled_from(sorted(ids)).flatmap(lambda kind: st.lists(ids[kind], min_size=6, max_size=6, unique=True)),
    st.lists(events, min_size=1, max_size=40),
    st.lists(st.builds(profile, names, names, st.booleans()), min_size=6, max_size=6),
)
def test_entries_made_of_pieces_are_those_made_one_by_one(users, history, profiles):
    who, points, times = zip(*history, strict=True)
    ledger = daily([users[number] for number in who], points, times, "Europe/Berlin")
    kinds = folded(ledger, PERIODS)
    shown = profiles[: len(kinds[0].users)]
    assert encoded(kinds, shown, CODECS) == one_by_one(ledger, shown, kinds[0].users)


def test_a_score_that_is_not_exact_and_an_event_that_does_not_stand_are_left_alone():
    most = [2**63 - 1] * 3
    (beyond,) = folded(daily([1] * 3, most, [AT] * 3, "UTC"), ["global"])
    assert encoded([beyond], [{}], CODECS) is None
    (lowest,) = folded(daily([1], [-(2**63)], [AT], "UTC"), ["global"])
    assert encoded([lowest], [{}], CODECS) is None
    (voided,) = folded(daily([uuid.UUID(int=1)] * 2, [1, -1], [AT] * 2, "UTC", [1, -1]), ["global"])
    assert encoded([voided], [{}], CODECS) is None
