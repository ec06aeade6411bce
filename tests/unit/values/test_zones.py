"""What names a time zone: the table's names in any case, offsets that clocks have, and nothing else."""

from __future__ import annotations

import datetime as dt
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.values.zones import fixed_offset, tzinfo_of, zone_named
from lbmigrate.verify import zone_names

NAMED = {
    "Asia/Kathmandu": "Asia/Kathmandu", " asia/kathmandu ": "Asia/Kathmandu", "UTC": "UTC", "GMT": "GMT",
    "America/St_Johns": "America/St_Johns", "Etc/GMT+5": "Etc/GMT+5",
    "+05:45": "+05:45", "+0545": "+05:45", "+545": "+05:45", "UTC+05:45": "+05:45", "GMT+5:45": "+05:45",
    "+5": "+05:00", "-03:30": "-03:30", "-00:00": "+00:00", "+14:00": "+14:00", "-12": "-12:00",
}  # fmt: skip
NONE = (
    None, "", " ", 330, 5.5, True, ["Europe/Paris"], {"name": "Europe/Paris"}, dt.datetime(2025, 1, 1), "Europe",
    "Europe/", "/etc/passwd", "../UTC", "localtime", "Factory", "posix/Europe/Paris", "Mars/Olympus", "+14:01",
    "-12:30", "+05:60", "+5:4", "+", "+123456", "05:45", "++05:45", "UTCGMT+5", "x" * 100_000, "Europe/Paris\0",
    "\ud800", "+٠٥:٤٥", "CET-1CEST",
)  # fmt: skip


@pytest.mark.parametrize("written", NAMED)
def test_a_zone_is_known_by_its_name_in_any_case_and_by_what_its_clocks_are_ahead(written: str) -> None:
    assert zone_named(written) == NAMED[written]


@pytest.mark.parametrize("value", NONE, ids=range(len(NONE)))
def test_what_names_no_zone_is_none(value: object) -> None:
    assert zone_named(value) is None
    assert zone_names.zone_named(value) is None


def test_what_is_told_of_a_zone_is_a_zone_again() -> None:
    for told in NAMED.values():
        assert zone_named(told) == told
        assert tzinfo_of(told).utcoffset(dt.datetime(2025, 6, 1)) is not None


def test_only_offsets_are_fixed() -> None:
    assert fixed_offset("-03:30") == -dt.timedelta(hours=3, minutes=30)
    assert fixed_offset("+14:00") == dt.timedelta(hours=14)
    assert fixed_offset("America/St_Johns") is None


OFFSETS = st.from_regex(r"(UTC|GMT|utc)?[+-]\d{0,3}:?\d{0,3}", fullmatch=True)


@given(st.sampled_from(sorted(available_timezones())) | OFFSETS | st.text(max_size=12))
def test_the_verification_reads_every_name_as_the_roll_up_does(text: str) -> None:
    for each in (text, text.upper(), text.lower(), f" {text}\n"):
        assert zone_names.zone_named(each) == zone_named(each)
