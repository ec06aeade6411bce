from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from pydantic import ValidationError

from lbmigrate.board.profiles import of_document as shown_of
from lbmigrate.board.profiles import profiles_from, snapshot
from lbmigrate.board.visibility import is_hidden, unforeseen
from lbmigrate.config.users import Users

NO_WISH = {"path": "hidden", "missing": False}
DATE = dt.datetime(2025, 1, 1)


def users(**parts: Any) -> Users:
    return Users.model_validate({"display_name": "name", "avatar": "face", **parts})


def hidden(condition: dict[str, Any], document: dict[str, Any]) -> bool:
    return is_hidden(users(hidden=condition), document)


@pytest.mark.parametrize("value", ["private", "hidden", "friends", 2, -1, DATE, [], {}, [True], {"a": 1}, ObjectId()])
@pytest.mark.parametrize("negate", [True, False])
def test_a_wish_that_is_neither_yes_nor_no_hides(value: Any, negate: bool) -> None:
    rule = {**NO_WISH, "negate": negate}
    assert is_hidden(users(opt_out=rule), {"hidden": value})
    assert [path for path, _ in unforeseen(users(opt_out=rule), {"hidden": value})] == ["hidden"]


@pytest.mark.parametrize("negate", [True, False])
def test_a_wish_that_nobody_has_foreseen_shows_where_the_configuration_says_so(negate: bool) -> None:
    assert not is_hidden(users(opt_out={**NO_WISH, "negate": negate, "unknown": "show"}), {"hidden": "private"})


@pytest.mark.parametrize("value", [True, "yes", 1, 1.0, Int64(1), Decimal128("1"), False, "off", 0, Decimal128("0.0")])
def test_a_yes_or_no_is_foreseen(value: Any) -> None:
    assert not list(unforeseen(users(opt_out=NO_WISH), {"hidden": value}))


MEET = [
    ({"equals": "banned"}, ["banned", "Banned", " BANNED ", ["staff", "banned"]], ["active", None, [], "ban", True]),
    ({"equals": 3}, [3, 3.0, Int64(3), Decimal128("3.0"), "3", [1, 3]], [2, "three", 3.5, None]),
    ({"equals": True}, [True, 1, "yes", "true"], [False, 0, "no", None]),
    ({"equals": False}, [False, 0, "off"], [True, 1, "on", None]),
    ({"in": ["banned", 7]}, ["banned", 7, 7.0], ["active", 8, None]),
    ({"exists": True}, [DATE, False, 0, "", [], {}], [None]),
    ({"exists": False}, [None], [DATE, False, 0]),
]
CASES = [
    (condition, value, met)
    for condition, meeting, others in MEET
    for met, values in ((True, meeting), (False, others))
    for value in values
]


@pytest.mark.parametrize(("condition", "value", "met"), CASES)
def test_a_condition_takes_whoever_meets_it_off_the_board(condition: dict[str, Any], value: Any, met: bool) -> None:
    assert hidden({"path": "a.b", **condition}, {"a": {"b": value}}) is met
    assert hidden({"path": "a.b", **condition, "negate": True}, {"a": {"b": value}}) is not met


@pytest.mark.parametrize("negate", [True, False])
def test_a_value_that_is_no_answer_to_a_yes_or_no_hides(negate: bool) -> None:
    rule = {"path": "banned", "equals": True, "negate": negate}
    assert hidden(rule, {"banned": "for ever"})
    assert list(unforeseen(users(hidden=rule), {"banned": "for ever"})) == [("banned", "for ever")]


def test_a_path_goes_through_the_elements_of_an_array() -> None:
    document = {"roles": [{"name": "user"}, {"name": "staff"}, "odd"]}
    assert hidden({"path": "roles.name", "equals": "staff"}, document)
    assert hidden({"path": "roles.1.name", "equals": "staff"}, document)
    assert not hidden({"path": "roles.0.name", "equals": "staff"}, document)


def test_one_of_several_reasons_is_enough() -> None:
    several = users(opt_out=NO_WISH, hidden=[{"path": "deletedAt", "exists": True}, {"path": "role", "in": ["staff"]}])
    documents = [{}, {"hidden": True}, {"deletedAt": DATE}, {"role": "staff"}, {"deletedAt": None, "role": "user"}]
    assert [is_hidden(several, each) for each in documents] == [False, True, True, True, False]


def test_whoever_is_anonymous_has_neither_name_nor_avatar_and_is_shown() -> None:
    rule = users(anonymous={"path": "minor", "equals": True})
    ann = {"name": "Ann", "face": "a.png"}
    assert snapshot(rule, {**ann, "minor": True}) == {
        "optOutSnapshot": False, "displayNameSnapshot": None, "avatarSnapshot": None,
    }  # fmt: skip
    assert snapshot(rule, {**ann, "minor": "perhaps"})["displayNameSnapshot"] is None
    assert snapshot(rule, ann)["displayNameSnapshot"] == "Ann"


@pytest.mark.parametrize(
    ("missing", "without", "off"),
    [(None, False, False), (None, True, True), ("show", True, True), ("hide", False, True), ("anonymous", True, False)],
)
def test_those_without_a_document_are_what_the_configuration_says(missing: Any, without: bool, off: bool) -> None:
    rule = users(missing=missing, opt_out={"path": "hidden", "missing": without})
    assert profiles_from(rule, [7], [])[7]["optOutSnapshot"] is off


PAIRS = [
    ([{"hidden": True}, {"name": "Ann"}], (True, "Ann")),
    ([{"name": "Ann"}, {"name": "Ann", "hidden": "odd"}], (True, "Ann")),
    ([{"name": "Ann"}, {"name": "Bob", "minor": True}], (False, None)),
    ([{"name": "Bob"}, {"name": "Ann"}, {}], (False, "Ann")),
]


@pytest.mark.parametrize(("documents", "expected"), PAIRS)
@pytest.mark.parametrize("keys", [[1, 1.0, Decimal128("1")], ["1", "1", "1"]])
def test_of_several_documents_under_one_key_the_strictest_counts(documents: Any, expected: Any, keys: Any) -> None:
    rule = users(key="no", opt_out=NO_WISH, anonymous={"path": "minor", "equals": True})
    found = [shown_of(rule, {**each, "no": key}) for each, key in zip(documents, keys, strict=False)]
    for order in (found, found[::-1]):
        shown = profiles_from(rule, [keys[0]], order)[keys[0]]
        assert (shown["optOutSnapshot"], shown["displayNameSnapshot"]) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": {"path": "a"}},
        {"hidden": {"path": "a", "equals": 1, "exists": True}},
        {"hidden": {"path": "a", "in": []}},
        {"hidden": {"path": "a", "equals": [1]}},
        {"hidden": {"path": "a", "equals": float("nan")}},
        {"missing": "drop"},
        {"opt_out": {**NO_WISH, "unknown": "perhaps"}},
    ],
)
def test_a_condition_that_asks_nothing_or_too_much_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        users(**wrong)
