"""Adjustments against the rule that they serve: whatever a source goes through, the ledger says what it says now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.records import Document
from lbmigrate.rules.adjustments import adjustments, base_id, counts, stand
from lbmigrate.rules.ranking import daily, entries

MONDAY = dt.datetime(2025, 11, 3, 9)
TUESDAY = MONDAY + dt.timedelta(days=1)


def event(source: Any = 7, user: str = "ada", points: int = 10, at: dt.datetime = MONDAY, **meta: Any) -> Document:
    """What a source is scored as."""
    return {
        "_id": f"done:{source}", "userId": user, "actionType": "done", "points": Int64(points), "sourceId": source,
        "meta": {"origin": "backfill", **meta}, "createdAt": at,
    }  # fmt: skip


def adjusted(*wanted: Document | None, first: Document | None = None) -> list[Document]:
    """The ledger of a source that was scored as `first` and then went through these states, each reconciled."""
    ledger = [first or event()]
    for desired in wanted:
        ledger += adjustments(ledger, desired, {each["_id"] for each in ledger})
    return ledger


def told(ledger: list[Document]) -> list[tuple[str, int, str, dt.datetime]]:
    """Its adjustments: reason, points, user and time."""
    return [(e["meta"]["reason"], e["points"], e["userId"], e["createdAt"]) for e in ledger if "reason" in e["meta"]]


def sums(ledger: list[Document]) -> dict[tuple[str, dt.datetime], tuple[int, int]]:
    """Points and standing actions by user and time, where there are any."""
    found: dict[tuple[str, dt.datetime], tuple[int, int]] = {}
    for each in ledger:
        points, stands = found.get((each["userId"], each["createdAt"]), (0, 0))
        change = stand(each["meta"].get("reason"), each["points"])
        found[each["userId"], each["createdAt"]] = points + each["points"], stands + change
    return {place: both for place, both in found.items() if both != (0, 0)}


# --- each reason ---------------------------------------------------------------------------------------------------


def test_nothing_is_due_where_nothing_differs() -> None:
    assert adjustments([event()], event()) == []


def test_what_is_gone_is_voided_and_what_comes_back_is_restored() -> None:
    ledger = adjusted(None, event())
    assert told(ledger) == [("voided", -10, "ada", MONDAY), ("restored", 10, "ada", MONDAY)]
    assert [each["_id"] for each in ledger] == ["done:7", "done:7#1", "done:7#2"]


def test_what_is_worth_something_else_is_rescored() -> None:
    assert told(adjusted(event(points=25), event(points=5))) == [
        ("rescored", 15, "ada", MONDAY), ("rescored", -20, "ada", MONDAY),
    ]  # fmt: skip


@pytest.mark.parametrize("moved", [event(user="bob"), event(at=TUESDAY), event(user="bob", at=TUESDAY, points=3)])
def test_another_owner_or_another_time_is_a_minus_there_and_a_plus_here(moved: Document) -> None:
    ledger = adjusted(moved)
    assert told(ledger) == [
        ("moved", -10, "ada", MONDAY), ("moved", moved["points"], moved["userId"], moved["createdAt"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("points", "reasons"), [(1, ["moved", "moved"]), (-1, ["voided", "restored"])])
def test_an_action_worth_a_single_point_moves_and_one_that_costs_a_point_is_given_again(
    points: int, reasons: list[str]
) -> None:
    ledger = adjusted(event(points=points, user="bob"), first=event(points=points))
    assert [reason for reason, *_ in told(ledger)] == reasons
    assert sums(ledger) == {("bob", MONDAY): (points, 1)}


def test_two_that_stand_are_voided_and_not_moved() -> None:
    half = event(points=10, user="bob", reason="moved") | {"_id": "done:7#2"}
    due = adjustments([event(), half], None, {"done:7", "done:7#2"})
    assert [each["meta"]["reason"] for each in due] == ["voided", "voided"]


def test_a_source_that_the_ledger_does_not_have_is_restored() -> None:
    (only,) = adjustments([], event())
    assert (only["_id"], only["points"], only["meta"]["reason"]) == ("done:7#1", 10, "restored")


def test_an_event_without_meta_is_adjusted_like_any_other() -> None:
    bare = {key: value for key, value in event().items() if key != "meta"}
    assert [each["points"] for each in adjustments([bare], None)] == [-10]


@pytest.mark.parametrize(
    ("reason", "points", "change"),
    [("moved", 1, 1), ("moved", 0, 0), ("moved", -1, -1), ("voided", -5, -1), ("of another program", 5, 1), ([], 5, 1)],
)
def test_the_reason_tells_whether_an_action_stands(reason: Any, points: int, change: int) -> None:
    assert stand(reason, points) == change


@pytest.mark.parametrize("kept", [0, 1])
def test_a_move_that_was_cut_short_is_completed_as_a_move(kept: int) -> None:
    first, *halves = adjusted(event(at=TUESDAY))
    ledger = [first, halves[kept]]
    (other,) = adjustments(ledger, event(at=TUESDAY), {each["_id"] for each in ledger})
    assert {**other, "_id": None} == {**halves[1 - kept], "_id": None}


def test_what_comes_back_at_another_time_is_restored_there() -> None:
    assert told(adjusted(None, event(at=TUESDAY))) == [
        ("voided", -10, "ada", MONDAY), ("restored", 10, "ada", TUESDAY),
    ]  # fmt: skip


def test_an_adjustment_is_like_the_event_that_it_corrects() -> None:
    (first, correction) = adjusted(None)
    assert correction == first | {
        "_id": "done:7#1", "points": Int64(-10), "meta": {"origin": "backfill", "reason": "voided"},
    }  # fmt: skip
    assert type(correction["points"]) is Int64


@pytest.mark.parametrize("points", [0, -4])
def test_points_whose_sign_tells_nothing_are_taken_back_and_given_again(points: int) -> None:
    ledger = adjusted(event(points=points, at=TUESDAY), first=event(points=points))
    assert told(ledger) == [("voided", -points, "ada", MONDAY), ("restored", points, "ada", TUESDAY)]


def test_an_action_without_points_can_be_undone_too() -> None:
    assert told(adjusted(None, first=event(points=0))) == [("voided", 0, "ada", MONDAY)]


# --- times from fallback fields ------------------------------------------------------------------------------------


def test_a_time_from_a_fallback_does_not_move_what_stands() -> None:
    assert told(adjusted(event(at=TUESDAY, approximate="updatedAt"))) == []
    assert told(adjusted(event(at=TUESDAY, points=12, approximate="updatedAt"))) == [("rescored", 2, "ada", MONDAY)]


def test_an_exact_time_moves_what_had_an_approximate_one() -> None:
    assert [row[0] for row in told(adjusted(event(at=TUESDAY), first=event(approximate="updatedAt")))] == ["moved"] * 2


def test_what_comes_back_takes_the_time_that_it_has_now_approximate_or_not() -> None:
    assert told(adjusted(None, event(at=TUESDAY, approximate="updatedAt")))[1] == ("restored", 10, "ada", TUESDAY)


# --- ids -----------------------------------------------------------------------------------------------------------


def test_an_id_that_is_taken_is_left_out() -> None:
    (correction,) = adjustments([event()], None, taken={"done:7", "done:7#1", "done:7#2"})
    assert correction["_id"] == "done:7#3"


@pytest.mark.parametrize(
    ("source", "name", "base"),
    [
        (7, "done:7", "done:7"),
        (7, "done:7#12", "done:7"),
        (7, "done:7#0", None),
        (7, "done:7#x", None),
        (7, "done:71", None),
        ("7#1", "done:7#1", "done:7#1"),
        ("7#1", "done:7#1#2", "done:7#1"),
        ("x", "other", None),
    ],
)
def test_the_source_of_an_event_is_told_by_its_fields(source: Any, name: str, base: str | None) -> None:
    assert base_id(event(source) | {"_id": name}) == base


@pytest.mark.parametrize("odd", [{"points": 3}, {"points": None}, {"createdAt": "today"}, {"userId": 1.5}, {"_id": 7}])
def test_what_counts_for_nobody_is_told_from_an_event(odd: Document) -> None:
    assert counts(event())
    assert not counts(event() | odd)


def test_the_mark_of_somebody_who_left_stays_on_what_is_adjusted() -> None:
    first = event(user="tombstone", forgotten=True)
    moved = adjusted(None, event(user="tombstone", at=TUESDAY, forgotten=True), event(user="bob"), first=first)
    assert [(each["userId"], each["meta"].get("forgotten", False)) for each in moved] == [
        ("tombstone", True), ("tombstone", True), ("tombstone", True), ("tombstone", True), ("bob", False),
    ]  # fmt: skip


# --- whatever happens ----------------------------------------------------------------------------------------------

TIMES = st.builds(lambda day, hour: MONDAY + dt.timedelta(days=day, hours=hour), st.integers(0, 5), st.integers(0, 2))
STATES = st.none() | st.builds(
    lambda user, points, at: event(user=user, points=points, at=at),
    st.sampled_from(["ada", "bob"]), st.integers(-3, 12) | st.just(10), TIMES,
)  # fmt: skip


@given(st.lists(STATES, max_size=8))
def test_after_any_sequence_the_ledger_says_what_the_source_says(states: list[Document | None]) -> None:
    ledger = adjusted(*states)
    last = states[-1] if states else event()
    assert sums(ledger) == ({(last["userId"], last["createdAt"]): (last["points"], 1)} if last else {})
    assert adjustments(ledger, last, {each["_id"] for each in ledger}) == []
    assert len({each["_id"] for each in ledger}) == len(ledger)
    assert all(base_id(each) == "done:7" for each in ledger)


@given(st.integers(1, 8))
def test_undone_and_done_again_any_number_of_times_ends_with_exactly_its_points(times: int) -> None:
    ledger = adjusted(*[None, event()] * times)
    assert sum(each["points"] for each in ledger) == 10
    assert len(ledger) == 1 + 2 * times


@given(st.lists(st.lists(STATES, min_size=1, max_size=5), min_size=1, max_size=5))
def test_streaks_are_those_of_a_ledger_with_only_what_stands(histories: list[list[Document | None]]) -> None:
    ledger = [each for states in histories for each in adjusted(*states)]
    standing = [states[-1] for states in histories if states[-1]]
    found, expected = streaks(ledger), streaks(standing)
    assert {key: found[key] for key in expected} == expected
    assert all(found[key] == 0 for key in found.keys() - expected.keys())


def streaks(events: list[Document]) -> dict[str, int]:
    columns = ([each[name] for each in events] for name in ("userId", "points", "createdAt"))
    stands = [stand(each["meta"].get("reason"), each["points"]) for each in events]
    return {entry["_id"]: entry["streak"] for entry in entries(daily(*columns, "UTC", stands), ["global", "day"])}
