from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.board.profiles import NAME_LENGTH, profile_paths, snapshot
from lbmigrate.board.visibility import opted_out
from lbmigrate.config.users import OptOut, Users

USERS = Users(
    key="_id",
    display_name=["displayName", "profile.name", "email"],
    avatar=["avatarUrl", "profile.picture"],
    opt_out=OptOut(path="settings.hidden", missing=False),
)
NOBODY = {"optOutSnapshot": False, "displayNameSnapshot": None, "avatarSnapshot": None}


def name(*values: Any) -> Any:
    first, second = (*values, None)[:2]
    return snapshot(USERS, {"displayName": first, "profile": {"name": second}})["displayNameSnapshot"]


def hidden(value: Any, *, missing: bool = False, negate: bool = False) -> bool:
    return opted_out(OptOut(path="settings.hidden", missing=missing, negate=negate), value)


def test_the_snapshot_of_a_user_has_name_picture_and_wish() -> None:
    ann = {"displayName": "Ann", "avatarUrl": "https://a/b.png", "settings": {"hidden": True}}
    expected = {"optOutSnapshot": True, "displayNameSnapshot": "Ann", "avatarSnapshot": "https://a/b.png"}
    assert snapshot(USERS, ann) == expected


def test_a_user_who_is_not_there_has_nothing_to_show() -> None:
    assert snapshot(USERS, {}) == NOBODY
    assert snapshot(Users(), {"displayName": "Ann"}) == NOBODY


def test_every_path_that_a_snapshot_reads_is_fetched() -> None:
    named = ("displayName", "profile.name", "email", "avatarUrl", "profile.picture", "settings.hidden")
    assert profile_paths(USERS) == ("_id", *named)
    assert profile_paths(Users()) == ("_id",)


@pytest.mark.parametrize("unusable", [None, "", "  \n", "ann@example.org", 7, True, ["Ann"], {"first": "Ann"}])
def test_the_first_usable_path_names_the_user(unusable: Any) -> None:
    assert name(unusable, "Ann") == "Ann"
    assert name("Ann", unusable) == "Ann"
    assert name(unusable, unusable) is None


@pytest.mark.parametrize("unusable", [None, "", 7, {"url": "x"}])
def test_the_first_usable_path_has_the_picture(unusable: Any) -> None:
    user = {"avatarUrl": unusable, "profile": {"picture": "p.png"}}
    assert snapshot(USERS, user)["avatarSnapshot"] == "p.png"


@pytest.mark.parametrize("text", ["Ann <ann@example.org>", " ann@example.org ", "mailto:a.b+c@x.co.uk", "ann@süd.de"])
def test_a_name_that_holds_an_email_address_is_none(text: str) -> None:
    assert name(text) is None


@pytest.mark.parametrize("text", ["Ann @ work", "@ann", "ann@home", "A. B.", "Ann"])
def test_a_name_may_have_dots_and_at_signs(text: str) -> None:
    assert name(text) == text


@given(before=st.text(max_size=200), after=st.text(max_size=200), address=st.emails(domains=st.just("example.org")))
def test_no_name_ever_shows_an_email_address(before: str, after: str, address: str) -> None:
    assert name(f"{before} {address} {after}") is None


def test_a_long_name_is_cut_but_not_in_the_middle_of_an_address() -> None:
    assert name("x" * 500) == "x" * NAME_LENGTH
    assert name("x" * (NAME_LENGTH - 10) + "@example.org") is None


@pytest.mark.parametrize("value", [True, 1, 1.0, "true", "True ", "yes", "ON", "1"])
def test_words_and_numbers_that_mean_yes_take_a_user_off_the_board(value: Any) -> None:
    assert hidden(value) is True
    assert hidden(value, negate=True) is False


@pytest.mark.parametrize("value", [False, 0, 0.0, "false", "no", "off", "0", ""])
def test_words_and_numbers_that_mean_no_leave_a_user_on_it(value: Any) -> None:
    assert hidden(value) is False
    assert hidden(value, negate=True) is True


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("negate", [True, False])
def test_what_a_missing_wish_means_is_said_and_not_turned_round(missing: bool, negate: bool) -> None:
    assert hidden(None, missing=missing, negate=negate) is missing


def test_without_a_rule_nobody_has_opted_out() -> None:
    assert opted_out(None, True) is False
