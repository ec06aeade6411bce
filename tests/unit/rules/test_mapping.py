"""Times and users that a path alone cannot say."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from pydantic import ValidationError

from lbmigrate.config.digest import reading_rules
from lbmigrate.records import Scored
from lbmigrate.rules.event import live_event
from lbmigrate.rules.scoring import score
from tests.apps import TASKS, config

AT = dt.datetime(2025, 3, 4, 5, 6, 7)
SECONDS = int(AT.replace(tzinfo=dt.UTC).timestamp())
HEX = "65a0c0ffee65a0c0ffee65a0"


def scored(fields: dict[str, Any], **parts: Any) -> Scored:
    source = config({**TASKS, "where": {}, "user": "u", "meta": {}, **parts}).sources[0]
    return score([{"_id": 1, "u": "ann", **fields}], source, "Europe/Paris")


def time_of(fields: dict[str, Any], *at: Any) -> tuple[Any, Any]:
    """When it happened and which field that is approximate; the reason where it is a reject."""
    found = scored(fields, at=list(at))
    if found.rejects:
        return None, found.rejects[0].reason
    return found.events[0]["createdAt"], found.events[0]["meta"].get("approximate")


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("seconds", str(SECONDS)), ("seconds", SECONDS), ("seconds", f" {SECONDS}.0 "),
        ("seconds", Decimal128(str(SECONDS))),
        ("ms", str(SECONDS * 1000)), ("ms", Int64(SECONDS * 1000)), ("us", str(SECONDS * 10**6)),
        ("ns", str(SECONDS * 10**9)), ("ms", AT), ("seconds", "2025-03-04T05:06:07Z"),
    ],
)  # fmt: skip
def test_epoch_numbers_count_in_the_unit_that_is_said_also_as_texts(unit: str, value: Any) -> None:
    assert time_of({"t": value}, {"path": "t", "epoch": unit}) == (AT, None)


def test_a_small_number_of_milliseconds_is_not_taken_for_seconds() -> None:
    assert time_of({"t": "86400000"}, {"path": "t", "epoch": "ms"}) == (dt.datetime(1970, 1, 2), None)


@pytest.mark.parametrize("value", ["0", 0, "", "soon", "1e400", True, -(10**18), None])
def test_what_is_no_epoch_number_is_a_reject(value: Any) -> None:
    at, reason = time_of({"t": value}, {"path": "t", "epoch": "seconds"})
    assert at is None
    assert reason.startswith("no usable time in t")


def test_a_text_of_digits_is_no_time_unless_it_is_said_in_which_unit() -> None:
    assert time_of({"t": str(SECONDS)}, "t")[0] is None


@pytest.mark.parametrize(("unit", "value"), [("minutes", 90), ("seconds", "5400"), ("ms", 5400000.0), ("hours", 1.5)])
def test_the_end_is_the_start_and_how_long_it_took(unit: str, value: Any) -> None:
    at = {"path": "start", "plus": {"path": "took.n", "unit": unit}}
    assert time_of({"start": AT, "took": {"n": value}}, at) == (AT + dt.timedelta(minutes=90), None)


@pytest.mark.parametrize("took", [None, "long", -1, float("nan"), 1e300])
def test_without_a_duration_the_next_field_says_when(took: Any) -> None:
    at = {"path": "start", "plus": {"path": "took", "unit": "seconds"}}
    assert time_of({"start": AT, "took": took, "updated": AT}, at, "updated") == (AT, "updated")


def test_an_exact_fallback_is_not_marked() -> None:
    at = ("done", {"path": "ended", "exact": True}, "updated")
    assert time_of({"ended": AT, "updated": AT}, *at) == (AT, None)
    assert time_of({"updated": AT}, *at) == (AT, "updated")


@pytest.mark.parametrize(
    ("given", "coerce", "user"),
    [
        ("_User$abc", None, "abc"),
        ("abc", None, "abc"),
        (f"_User${HEX}", "objectId", ObjectId(HEX)),
        (ObjectId(HEX), "objectId", ObjectId(HEX)),
    ],
)
def test_what_stands_before_the_id_is_stripped(given: Any, coerce: Any, user: Any) -> None:
    ref = {"path": "u", "strip": "_User$", **({"as": coerce} if coerce else {})}
    assert scored({"u": given, "t": AT}, at="t", user=ref).events[0]["userId"] == user


def test_a_pointer_to_nobody_is_a_reject() -> None:
    assert scored({"u": "_User$", "t": AT}, at="t", user={"path": "u", "strip": "_User$"}).rejects


def test_a_stripped_user_is_the_same_in_a_live_event() -> None:
    source = config({**TASKS, "user": {"path": "u", "strip": "_User$"}}).sources[0]
    events = [live_event(source, given, 1, 10, AT, {}) for given in ("_User$abc", "abc")]
    assert [event["userId"] for event in events] == ["abc", "abc"]


def test_rules_that_say_nothing_of_it_have_the_digests_that_they_had() -> None:
    plain, said = (config({**TASKS, "at": at}) for at in (["completedAt"], [{"path": "completedAt", "epoch": "ms"}]))
    dumped = plain.sources[0].model_dump(by_alias=True)
    assert (dumped["at"], dumped["user"]) == (("completedAt",), {"path": "userId", "as": None})
    assert reading_rules(plain, plain.sources[0])["at"] != reading_rules(said, said.sources[0])["at"]


@pytest.mark.parametrize(
    "at",
    [[], 7, [7], {"path": "t", "epoch": "hours"}, {"path": "t", "plus": "took"}, {"path": "t", "plus": {"path": "a"}}],
)
def test_a_time_that_cannot_be_read_is_refused(at: Any) -> None:
    with pytest.raises(ValidationError):
        config({**TASKS, "at": at})
