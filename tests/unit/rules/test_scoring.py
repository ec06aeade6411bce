from __future__ import annotations

import datetime as dt
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bson import BSON, Binary, Decimal128, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.config.model import Source
from lbmigrate.errors import ConfigError, LbmigrateError
from lbmigrate.records import Scored
from lbmigrate.rules import mapped, scoring
from lbmigrate.rules.unwind import POSITION, element_ids

USER = ObjectId("507f1f77bcf86cd799439011")
TASK = ObjectId("507f191e810c19729de860ea")
WHEN = dt.datetime(2025, 11, 4, 9, 30)
EVENT_KEYS = ["_id", "userId", "actionType", "points", "sourceId", "meta", "createdAt"]


def source(**fields: Any) -> Source:
    told = {"name": "tasks", "collection": "tasks", "action": "task_complete", "user": "userId", "at": "completedAt"}
    return Source.model_validate({**told, "points": 10, **fields})


def document(**fields: Any) -> dict[str, Any]:
    return {"_id": TASK, "userId": USER, "completedAt": WHEN, **fields}


RULES = "board_rules_of_a_test"


def score(documents: list[dict[str, Any]], latest: dt.datetime | None = None, **fields: Any) -> Scored:
    return scoring.score(documents, source(**fields), "UTC", latest=latest, functions={RULES})


def points_of(found: Any, **fields: Any) -> int:
    """The points of one document that can be scored."""
    scored = score([document(**found)], **fields)
    assert scored.rejects == []
    return int(scored.events[0]["points"])


def reason_of(found: Any, **fields: Any) -> str:
    """Why one document cannot be scored."""
    scored = score([{key: value for key, value in document(**found).items() if value != "absent"}], **fields)
    assert scored.events == []
    return scored.rejects[0].reason


def test_an_event_has_exactly_the_fields_of_the_ledger_in_their_order() -> None:
    (event,) = score([document(priority="high")], meta={"urgency": "priority"}).events
    assert event == {
        "_id": "task_complete:507f191e810c19729de860ea",
        "userId": USER,
        "actionType": "task_complete",
        "points": 10,
        "sourceId": TASK,
        "meta": {"urgency": "high", "origin": "backfill"},
        "createdAt": WHEN,
    }
    assert list(event) == EVENT_KEYS
    assert type(event["points"]) is Int64


def test_a_live_event_says_so_and_is_otherwise_the_same() -> None:
    (event,) = scoring.score([document()], source(), "UTC", origin="live").events
    assert event["meta"] == {"origin": "live"}


def test_paths_are_all_that_scoring_reads_each_once() -> None:
    told = source(
        at=["completedAt", "updatedAt"],
        let={
            "minutes": {"between": ["startedAt", "completedAt"], "to": "minutes"},
            "weight": {"path": ["priority", "prio"]},
        },
        meta={"p": "priority", "list": "list.name"},
        points="minutes * weight",
    )
    assert mapped.paths(told) == (
        "userId", "completedAt", "updatedAt", "startedAt", "priority", "prio", "list.name",
    )  # fmt: skip


def test_an_unwound_source_also_reads_what_names_its_elements() -> None:
    assert mapped.paths(source(unwind="todos", at="todos.doneAt")) == (
        "userId", "todos.doneAt", "todos._id", "todos.id",
    )  # fmt: skip


def test_elements_are_named_by_their_own_id_or_else_their_index() -> None:
    documents = [
        {"_id": USER, "todos": {"_id": TASK, "id": "x"}, POSITION: Int64(0)},
        {"_id": USER, "todos": {"id": "bd7123c8c441eddfaeb5bdef"}, POSITION: Int64(1)},
        {"_id": "ada", "todos": {"text": "read"}, POSITION: Int64(2)},
        {"_id": 7, "todos": "2025-01-01", POSITION: Int64(3)},
        {"_id": 7, "todos": "the only one, and no array"},
    ]
    assert element_ids(documents, "todos").now == [
        f"{USER}/{TASK}",
        f"{USER}/bd7123c8c441eddfaeb5bdef",
        "ada/2",
        "7/3",
        "7/0",
    ]


def test_given_source_ids_replace_those_of_the_documents() -> None:
    scored = scoring.score([document(), document(userId=None)], source(), "UTC", source_ids=["u/0", "u/1"])
    assert (scored.events[0]["_id"], scored.events[0]["sourceId"]) == ("task_complete:u/0", "u/0")
    assert scored.rejects[0].source_id == "u/1"


def test_meta_keeps_what_is_false_or_empty_and_leaves_out_what_is_null() -> None:
    chosen = {"flag": "flag", "note": "note", "size": "size", "list": "list", "gone": "gone"}
    (event,) = score([document(flag=False, note="", size=0, list=[], gone=None)], meta=chosen).events
    assert event["meta"] == {"flag": False, "note": "", "size": 0, "list": [], "origin": "backfill"}


def test_of_several_reasons_the_first_in_the_order_user_time_number_is_given() -> None:
    documents = [
        {"_id": 1},
        {"_id": 2, "userId": USER},
        {"_id": 3, "userId": USER, "completedAt": WHEN},
        {"_id": 4, "userId": USER, "completedAt": WHEN, "a": 1},
    ]
    rejects = score(documents, let={"a": {"path": "a"}, "b": {"path": "b"}}, points="a + b").rejects
    assert [reject.reason for reject in rejects] == [
        "no user (userId is missing)",
        "no usable time in completedAt (all missing)",
        "a: a is missing",
        "b: b is missing",
    ]


# --- users


@pytest.mark.parametrize(
    ("value", "wanted", "user"),
    [
        (USER, None, USER),
        (str(USER), None, str(USER)),
        (str(USER), "objectId", USER),
        (USER, "string", str(USER)),
        (17, None, 17),
        (17, "string", "17"),
    ],
)
def test_a_user_is_kept_as_it_is_or_made_the_asked_for_type(value: Any, wanted: str | None, user: Any) -> None:
    (event,) = score([document(userId=value)], user={"path": "userId", "as": wanted}).events
    assert (event["userId"], type(event["userId"])) == (user, type(user))


@pytest.mark.parametrize(
    ("value", "wanted", "reason"),
    [
        ("absent", None, "no user (userId is missing)"),
        (None, None, "no user (userId is missing)"),
        (" ", None, "no user (userId is blank)"),
        (3.5, None, "user of type double in userId"),
        (True, None, "user of type bool in userId"),
        ({"$oid": 1}, "string", "user of type object in userId"),
        ("default_user", "objectId", "user in userId is not an ObjectId (string 'default_user')"),
        (Binary(b"0123456789abcdef", 3), "string", "user in userId is not a string (binData "),
    ],
)
def test_a_document_without_a_usable_user_is_rejected(value: Any, wanted: str | None, reason: str) -> None:
    assert reason_of({"userId": value}, user={"path": "userId", "as": wanted}).startswith(reason)


def test_a_document_without_an_id_is_rejected() -> None:
    assert reason_of({"_id": None}) == "no _id"


# --- times


def test_the_first_path_that_converts_is_the_time_and_any_other_is_marked() -> None:
    documents = [
        document(updatedAt=dt.datetime(2030, 1, 1)),
        document(completedAt=None, updatedAt=WHEN),
        document(completedAt="soon", updatedAt=None, createdAt="2025-11-04T09:30:00Z"),
        document(completedAt=0, updatedAt=dt.datetime(1800, 1, 1)),
    ]
    events = score(documents, at=["completedAt", "updatedAt", "createdAt", "_id"]).events
    assert [event["meta"].get("approximate") for event in events] == [None, "updatedAt", "createdAt", "_id"]
    assert [event["createdAt"] for event in events] == [WHEN] * 3 + [TASK.generation_time.replace(tzinfo=None)]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"completedAt": None}, "no usable time in completedAt, updatedAt (all missing)"),
        ({"completedAt": "today"}, "no usable time in completedAt, updatedAt (completedAt: string 'today')"),
        (
            {"completedAt": None, "updatedAt": False},
            "no usable time in completedAt, updatedAt (updatedAt: bool False)",
        ),
    ],
)
def test_a_document_without_a_usable_time_is_rejected(found: Any, reason: str) -> None:
    assert reason_of(found, at=["completedAt", "updatedAt"]) == reason


def test_a_time_without_an_offset_is_local_to_the_configured_zone() -> None:
    scored = scoring.score([document(completedAt="2025-11-04")], source(), "Asia/Tokyo")
    assert scored.events[0]["createdAt"] == dt.datetime(2025, 11, 3, 15)


def test_an_action_later_than_the_latest_is_rejected_whichever_field_its_time_is_from() -> None:
    latest = WHEN + dt.timedelta(days=2)
    documents = [
        document(),
        document(completedAt=latest),
        document(completedAt=latest + dt.timedelta(milliseconds=1)),
        document(completedAt=None, updatedAt="2037-11-04T09:30:00Z"),
        document(completedAt=2141112600),
    ]
    scored = score(documents, latest, at=["completedAt", "updatedAt"])
    assert [event["createdAt"] for event in scored.events] == [WHEN, latest]
    assert [reject.reason for reject in scored.rejects] == [
        "completedAt is in the future (2025-11-06 09:30:00.001000)",
        "updatedAt is in the future (2037-11-04 09:30:00)",
        "completedAt is in the future (2037-11-06 09:30:00)",
    ]


def test_without_a_latest_any_time_is_taken() -> None:
    (event,) = score([document(completedAt=dt.datetime(2137, 1, 1))]).events
    assert event["createdAt"].year == 2137


def test_a_fallback_without_an_offset_is_local_to_the_configured_zone() -> None:
    told = source(at=["completedAt", "updatedAt"])
    scored = scoring.score([document(completedAt=None, updatedAt="2025-11-04T09:00:00")], told, "Asia/Tokyo")
    assert scored.events[0]["createdAt"] == dt.datetime(2025, 11, 4)


# --- numbers

MINUTES = {"minutes": {"path": "duration", "unit": "seconds", "to": "minutes"}}
WEIGHT = {"weight": {"path": "priority", "map": {"low": 1, "2": 20, 3: 30}}}
SPENT = {"minutes": {"between": ["start", "end"], "to": "minutes"}}


@pytest.mark.parametrize(
    ("let", "points", "found", "worth"),
    [
        (MINUTES, "minutes", {"duration": 1500}, 25),
        (MINUTES, "minutes", {"duration": "1500"}, 25),
        (MINUTES, "minutes", {"duration": Decimal128("1500")}, 25),
        (MINUTES, "floor(minutes)", {"duration": 119}, 1),
        (
            {"ns": {"path": "allocated", "unit": "ns", "to": "seconds"}},
            "floor(ns)",
            {"allocated": Int64(31 * 10**9)},
            31,
        ),
        ({"m": {"path": ["actual", "planned"]}}, "m", {"actual": None, "planned": 25}, 25),
        ({"m": {"path": ["actual", "planned"]}}, "m", {"actual": 0, "planned": 25}, 0),
        ({"m": {"path": "actual", "missing": 5}}, "m", {}, 5),
        ({"m": {"path": "s", "unit": "seconds", "to": "minutes", "missing": 5}}, "m", {"s": None}, 5),
        (WEIGHT, "weight", {"priority": "low"}, 1),
        (WEIGHT, "weight", {"priority": 2}, 20),
        (WEIGHT, "weight", {"priority": 2.0}, 20),
        (WEIGHT, "weight", {"priority": "2"}, 20),
        (WEIGHT, "weight", {"priority": Int64(3)}, 30),
        (WEIGHT, "weight", {"priority": "3"}, 30),
        (WEIGHT, "weight", {"priority": Decimal128("3")}, 30),
        ({"w": {**WEIGHT["weight"], "default": 7}}, "w", {"priority": "urgent"}, 7),
        ({"w": {**WEIGHT["weight"], "default": 7}}, "w", {"priority": ["low"]}, 7),
        ({"w": {**WEIGHT["weight"], "default": 7, "missing": 9}}, "w", {"priority": None}, 9),
        ({"w": {"path": "p", "map": {1: 5, "1": 6}}}, "w", {"p": "1"}, 6),
        (SPENT, "minutes", {"start": WHEN, "end": WHEN + dt.timedelta(minutes=25)}, 25),
        (SPENT, "minutes", {"start": "2025-01-01T10:00:00Z", "end": 1735725900000}, 5),
        (SPENT, "minutes", {"start": WHEN, "end": WHEN}, 0),
        ({"s": {"between": ["start", "end"]}}, "s", {"start": WHEN, "end": WHEN + dt.timedelta(minutes=2)}, 120),
        ({"s": {"between": ["start", "end"], "missing": 3}}, "s", {"start": WHEN}, 3),
    ],
)
def test_a_named_number_is_taken_from_the_document(let: Any, points: str, found: Any, worth: int) -> None:
    assert points_of(found, let=let, points=points) == worth


@pytest.mark.parametrize(
    ("let", "found", "reason"),
    [
        (MINUTES, {}, "minutes: duration is missing"),
        (MINUTES, {"duration": "25 min"}, "minutes: duration is not a finite number (string '25 min')"),
        (MINUTES, {"duration": math.nan}, "minutes: duration is not a finite number (double nan)"),
        (MINUTES, {"duration": True}, "minutes: duration is not a finite number (bool True)"),
        ({"m": {"path": ["a", "b"]}}, {}, "m: a or b is missing"),
        ({"m": {"path": "a", "missing": 5}}, {"a": "x"}, "m: a is not a finite number (string 'x')"),
        (WEIGHT, {"priority": "urgent"}, "weight: priority is not in map (string 'urgent')"),
        (WEIGHT, {"priority": ["low"]}, "weight: priority is not in map (array ['low'])"),
        (WEIGHT, {}, "weight: priority is missing"),
        ({"w": {"path": "priority", "map": {"١": 5}}}, {"priority": 1}, "w: priority is not in map (int 1)"),
        ({"w": {**WEIGHT["weight"], "default": 7}}, {}, "w: priority is missing"),
        (MINUTES, {"duration": -5000}, "minutes: duration is negative (int -5000)"),
        (MINUTES, {"duration": "-0.001"}, "minutes: duration is negative (string '-0.001')"),
        (MINUTES, {"duration": Int64(-1)}, "minutes: duration is negative (long "),
        (SPENT, {"start": WHEN}, "minutes: end is missing"),
        (SPENT, {"start": WHEN, "end": "late"}, "minutes: end is not a time (string 'late')"),
        (SPENT, {"start": WHEN, "end": WHEN - dt.timedelta(seconds=1)}, "minutes: end is before start"),
    ],
)
def test_a_document_without_the_number_is_rejected_by_its_name(let: Any, found: Any, reason: str) -> None:
    assert reason_of(found, let=let, points=next(iter(let))).startswith(reason)


def test_between_two_local_times_the_clocks_may_be_put_on() -> None:
    ends = {"start": "2025-03-30T01:30:00", "end": "2025-03-30T03:30:00"}
    scored = scoring.score([document(**ends)], source(let=SPENT, points="minutes"), "Europe/Berlin")
    assert [int(event["points"]) for event in scored.events] == [60]


def test_a_value_that_cannot_be_read_is_not_taken_for_a_missing_one_beside_it() -> None:
    let = {"s": {"between": ["start", "end"], "missing": 3}}
    assert reason_of({"start": WHEN, "end": "late"}, let=let, points="s") == "s: end is not a time (string 'late')"


# --- points

NUMBER = {"x": {"path": "x"}}


@pytest.mark.parametrize(
    ("value", "worth"),
    [(2.4, 2), (2.5, 2), (3.5, 4), (-2.5, -2), (-0.1, 0), (2**53, 2**53), (-(2**53), -(2**53))],
)
def test_fractions_of_points_are_rounded_halves_to_even(value: float, worth: int) -> None:
    low = min(worth, 0)
    assert points_of({"x": value}, let=NUMBER, points="x", points_range=[low, 2**53]) == worth


@pytest.mark.parametrize(
    ("allowed", "value", "reason"),
    [
        ({}, -1, "points are below 0 (-1)"),
        ({}, -0.6, "points are below 0 (-1)"),
        ({"points_range": [-5, 10]}, -6, "points are below -5 (-6)"),
        ({"points_range": [-5, 10]}, 11, "points are above 10 (11)"),
        ({"points_range": [1, 10]}, 0, "points are below 1 (0)"),
    ],
)
def test_points_that_no_rule_was_meant_to_give_are_rejected(allowed: Any, value: float, reason: str) -> None:
    assert reason_of({"x": value}, let=NUMBER, points="x", **allowed) == reason


@pytest.mark.parametrize(("value", "allowed"), [(-0.5, {}), (0, {}), (-5, {"points_range": [-5, 10]})])
def test_the_ends_of_the_range_are_in_it(value: float, allowed: Any) -> None:
    assert points_of({"x": value}, let=NUMBER, points="x", **allowed) == round(value)


def test_points_that_the_configuration_says_itself_may_be_below_zero() -> None:
    assert points_of({}, points=-5) == -5


@pytest.mark.parametrize(
    ("points", "value", "reason"),
    [
        ("x * 2", 2.0**53, "points overflow (1.80144e+16)"),
        ("x / (x - 1)", 1, "points are not a number (inf)"),
        ("sqrt(x)", -1, "points are not a number (nan)"),
        ("-x * 1e300", 1, "points overflow (-1e+300)"),
    ],
)
def test_points_that_are_no_exact_integer_are_rejected(points: str, value: float, reason: str) -> None:
    assert reason_of({"x": value}, let=NUMBER, points=points) == reason


def test_a_formula_without_names_is_worth_the_same_everywhere() -> None:
    assert [int(event["points"]) for event in score([document(), document()], points="5 * 2").events] == [10, 10]


def test_a_formula_that_cannot_be_computed_is_a_config_error_even_without_documents() -> None:
    with pytest.raises(ConfigError, match="minuts"):
        score([], let=MINUTES, points="minuts * 2")


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType(RULES)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def offer(rules: ModuleType, function: Any, name: str = "points") -> None:
    """Let `function` be one that the module defines."""
    function.__module__ = rules.__name__
    setattr(rules, name, function)


def test_a_function_gets_the_clean_rows_and_gives_their_points(rules: ModuleType) -> None:
    seen: list[pd.DataFrame] = []

    def weekend(frame: pd.DataFrame) -> Any:
        seen.append(frame.copy())
        points = (frame["minutes"] * (1 + (frame["createdAt"].dt.day_of_week >= 5))).astype("int64")
        return points.sort_values(ascending=False)

    offer(rules, weekend, "weekend")
    saturday = dt.datetime(2025, 11, 8)
    documents = [
        document(duration=600, tag="deep"),
        document(duration=None),
        document(duration=1200, completedAt=saturday),
    ]
    scored = score(documents, let=MINUTES, meta={"kind": "tag"}, points="board_rules_of_a_test:weekend")
    assert [int(event["points"]) for event in scored.events] == [10, 40]
    assert [reject.reason for reject in scored.rejects] == ["minutes: duration is missing"]
    assert seen[0].to_dict("list") == {
        "userId": [USER, USER],
        "kind": ["deep", None],
        "createdAt": [pd.Timestamp(WHEN), pd.Timestamp(saturday)],
        "minutes": [10.0, 20.0],
    }


def test_a_function_sees_the_fields_chosen_for_meta_as_they_are_in_the_document(rules: ModuleType) -> None:
    offer(rules, lambda frame: (frame["createdAt"] - pd.to_datetime(frame["begun"])).dt.days)
    documents = [document(createdAt=WHEN - dt.timedelta(days=3), userId=str(USER))]
    told = {"meta": {"begun": "createdAt"}, "user": {"path": "userId", "as": "objectId"}}
    assert int(score(documents, **told, points="board_rules_of_a_test:points").events[0]["points"]) == 3


@pytest.mark.parametrize(
    "given",
    [
        [1.5, math.nan],
        pd.Series([2, None], dtype="Int64"),
        np.array([2.4, math.inf]),
        pd.Series([2, None], dtype=object),
    ],
)
def test_what_a_function_returns_is_rounded_and_checked_like_a_formula(rules: ModuleType, given: Any) -> None:
    offer(rules, lambda frame: given)
    scored = score([document(), document()], points="board_rules_of_a_test:points")
    assert [int(event["points"]) for event in scored.events] == [2]
    assert scored.rejects[0].reason.startswith("points are not a number")


def test_large_integers_from_a_function_are_not_rounded_into_range(rules: ModuleType) -> None:
    offer(rules, lambda frame: pd.Series([2**53 + 1, -(2**63), 2**53]))
    scored = score([document()] * 3, points="board_rules_of_a_test:points")
    assert [int(event["points"]) for event in scored.events] == [2**53]


@pytest.mark.parametrize("given", [[1], [1, 2, 3], pd.Series([1, 2], index=[4, 5]), "ab", ["a", "b"], None])
def test_a_function_that_returns_something_else_fails_by_name(rules: ModuleType, given: Any) -> None:
    offer(rules, lambda frame: given)
    with pytest.raises(LbmigrateError, match="board_rules_of_a_test:points") as failed:
        score([document(), document()], points="board_rules_of_a_test:points")
    assert failed.value.hint == "fix board_rules_of_a_test:points"


def test_a_function_that_raises_fails_the_run_and_rejects_nothing(rules: ModuleType) -> None:
    offer(rules, lambda frame: frame["nothing"])
    with pytest.raises(LbmigrateError, match="board_rules_of_a_test:points failed: KeyError"):
        score([document()] * 2, points="board_rules_of_a_test:points")


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_document_that_a_function_fails_for_is_a_reject_and_the_others_have_their_points(
    rules: ModuleType, size: int
) -> None:
    offer(rules, lambda frame: [10 + priority for priority in frame["priority"]])
    documents = [{**document(), "_id": number, "priority": 1} for number in range(size)]
    odd = {**document(), "_id": "odd", "priority": {"no": "number"}}
    scored = score([*documents, odd], points="board_rules_of_a_test:points", meta={"priority": "priority"})
    assert [int(event["points"]) for event in scored.events] == [11] * size
    (reject,) = scored.rejects
    assert reject.source_id == "odd"
    assert reject.reason.startswith("points: board_rules_of_a_test:points failed: TypeError")


def test_a_function_that_fails_for_many_documents_fails_the_run(rules: ModuleType) -> None:
    offer(rules, lambda frame: [10 + priority for priority in frame["priority"]])
    documents = [{**document(), "_id": number, "priority": 1 if number % 2 else "x"} for number in range(60)]
    with pytest.raises(LbmigrateError, match="board_rules_of_a_test:points failed: TypeError"):
        score(documents, points="board_rules_of_a_test:points", meta={"priority": "priority"})


def test_a_frame_has_its_types_whatever_is_in_it(rules: ModuleType) -> None:
    seen: list[Any] = []
    offer(rules, lambda frame: [seen.append(frame.dtypes.astype(str).to_dict()), 1][1:])
    let = {"w": {"path": "priority", "map": {"low": 1}}}
    score([document(priority="low", userId=7)], let=let, points="board_rules_of_a_test:points")
    assert seen == [{"userId": "object", "createdAt": "datetime64[ms]", "w": "float64"}]


def test_a_function_is_not_called_without_a_clean_row(rules: ModuleType) -> None:
    offer(rules, lambda frame: 1 / 0)
    assert len(score([document(userId=None)], points="board_rules_of_a_test:points").rejects) == 1


# --- whole sources

FOCUS_TASKS = source(user="user", at=["completedAt", "updatedAt"], let={
    "worth": {"path": "priority", "map": {"low": 5, "medium": 10, "high": 15}, "default": 10, "missing": 10},
}, points="worth", meta={"priority": "priority"})  # fmt: skip
FOCUS_SESSIONS = source(name="sessions", collection="pomodorosessions", action="focus_session", at=["endTime"], let={
    "planned": {"path": "duration"},
    "spent": {"between": ["startTime", "endTime"], "to": "minutes", "missing": 1e6},
}, points="floor(minimum(minimum(planned, spent), 480))")  # fmt: skip
FORGE_TASKS = source(user={"path": "userId", "as": "string"}, at=["completedAt", "updatedAt"], let={
    "base": {"path": "difficulty", "map": {"easy": 10, "medium": 25, "hard": 50}, "missing": 10},
    "factor": {"path": "priority", "missing": 1, "map": {
        "low": 0.8, "medium": 1, "high": 1.5, 1: 0.8, 2: 0.9, 3: 1, 4: 1.25, 5: 1.5,
    }},
}, points="minimum(maximum(base * factor, 5), 200)")  # fmt: skip


def test_tasks_without_a_completion_time_count_at_their_last_change() -> None:
    documents = [
        {"_id": ObjectId(), "user": USER, "priority": "high", "updatedAt": WHEN},
        {"_id": ObjectId(), "user": USER, "priority": None, "updatedAt": WHEN},
        {"_id": ObjectId(), "userId": USER, "priority": "low", "updatedAt": WHEN},
    ]
    scored = scoring.score(documents, FOCUS_TASKS, "UTC")
    assert [(int(event["points"]), event["meta"]) for event in scored.events] == [
        (15, {"priority": "high", "origin": "backfill", "approximate": "updatedAt"}),
        (10, {"origin": "backfill", "approximate": "updatedAt"}),
    ]
    assert [reject.reason for reject in scored.rejects] == ["no user (user is missing)"]


def test_a_session_counts_the_lesser_of_its_planned_and_its_real_minutes() -> None:
    start = WHEN - dt.timedelta(minutes=20)
    documents = [
        {"_id": 1, "userId": USER, "duration": 25, "startTime": start, "endTime": WHEN},
        {"_id": 2, "userId": USER, "duration": 25, "endTime": WHEN},
        {"_id": 3, "userId": USER, "duration": 25, "startTime": WHEN, "endTime": start},
    ]
    scored = scoring.score(documents, FOCUS_SESSIONS, "UTC")
    assert [int(event["points"]) for event in scored.events] == [20, 25]
    assert [reject.reason for reject in scored.rejects] == ["spent: endTime is before startTime"]


def test_three_generations_of_one_schema_are_scored_side_by_side() -> None:
    documents = [
        {"_id": 1, "userId": USER, "completed": True, "priority": "high", "updatedAt": WHEN},
        {"_id": 2, "userId": str(USER), "status": "done", "priority": 4, "updatedAt": WHEN},
        {"_id": 3, "userId": str(USER), "priority": 5.0, "difficulty": "hard", "completedAt": WHEN},
    ]
    scored = scoring.score(documents, FORGE_TASKS, "UTC")
    assert [int(event["points"]) for event in scored.events] == [15, 12, 75]
    assert {event["userId"] for event in scored.events} == {str(USER)}


# --- properties

junk: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=16),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.uuids(),
    st.decimals(allow_nan=True, places=2, min_value=-1000, max_value=1000).map(Decimal128),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["low", "high", 1, "1", "2025-01-01", str(USER), pd.NaT, pd.Timestamp(WHEN), np.float64(3)]),
)
READ = [
    "_id",
    "userId",
    "user",
    "completedAt",
    "updatedAt",
    "endTime",
    "startTime",
    "duration",
    "priority",
    "difficulty",
]
documents_of_junk = st.lists(st.dictionaries(st.sampled_from(READ), junk), max_size=8)
sources = st.sampled_from([source(), FOCUS_TASKS, FOCUS_SESSIONS, FORGE_TASKS])


@settings(max_examples=100)
@given(documents_of_junk, sources)
def test_every_document_becomes_an_event_or_a_reject(documents: list[dict[str, Any]], told: Source) -> None:
    scored = scoring.score(documents, told, "Europe/Paris")
    assert len(scored.events) + len(scored.rejects) == len(documents)
    assert all(0 < len(reject.reason) < 200 for reject in scored.rejects)
    for event in scored.events:
        assert list(event) == EVENT_KEYS
        assert type(event["points"]) is Int64
        assert type(event["createdAt"]) is dt.datetime
        assert (event["createdAt"].tzinfo, event["createdAt"].microsecond % 1000) == (None, 0)
        assert type(event["_id"]) is str


minutes = st.integers(0, 10**6)
clean_documents = st.lists(
    st.fixed_dictionaries(
        {
            "_id": st.binary(min_size=12, max_size=12).map(ObjectId),
            "userId": st.just(USER),
            "completedAt": st.integers(0, 10**12).map(lambda ms: WHEN - dt.timedelta(milliseconds=ms)),
            "duration": minutes,
            "priority": st.sampled_from(["low", "high", 3]),
        },
        optional={"project": st.text(max_size=3)},
    ),
    max_size=20,
)
FORMULA = source(
    let={"n": {"path": "duration"}, "w": {"path": "priority", "map": {"low": 1, "high": 2, 3: 3}}},
    points="n * w",
    meta={"priority": "priority", "project": "project"},
)


@given(clean_documents, junk)
def test_one_dirty_document_changes_nothing_about_the_clean_ones(clean: list[dict[str, Any]], dirt: Any) -> None:
    alone = scoring.score(clean, FORMULA, "UTC")
    dirty = {"_id": 1, "userId": [], "completedAt": dirt, "duration": dirt, "priority": dirt, "project": dirt}
    among = scoring.score([*clean, dirty], FORMULA, "UTC")
    assert alone.rejects == []
    assert [list(event.items()) for event in among.events] == [list(event.items()) for event in alone.events]
    assert [reject.source_id for reject in among.rejects] == [1]


@given(clean_documents)
def test_points_are_what_python_integers_give(clean: list[dict[str, Any]]) -> None:
    weights = {"low": 1, "high": 2, 3: 3}
    expected = [found["duration"] * weights[found["priority"]] for found in clean]
    events = scoring.score(clean, FORMULA, "UTC").events
    assert [int(event["points"]) for event in events] == expected


@given(clean_documents)
def test_events_are_ready_for_the_database(clean: list[dict[str, Any]]) -> None:
    for event in scoring.score(clean, FORMULA, "UTC").events:
        assert BSON.encode(event).decode() == event


@given(clean_documents)
def test_scoring_leaves_its_documents_as_they_were(clean: list[dict[str, Any]]) -> None:
    before = [dict(found) for found in clean]
    scoring.score(clean, FORMULA, "UTC")
    assert clean == before
