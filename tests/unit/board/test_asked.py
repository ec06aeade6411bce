from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import uuid
import zlib
from typing import Any

import pytest
from bson import Binary, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.board.asked import (
    EPOCH,
    LARGEST,
    MOST_PLACES,
    CursorRefused,
    NumberRefused,
    Position,
    UserRefused,
    check_number,
    cursor_of,
    ids_of,
    ids_of_all,
    position_of,
)
from lbmigrate.board.place import LONGEST_PERIOD, About, Freshness, Place, place_of
from lbmigrate.errors import UsageError
from lbmigrate.records import LONGEST_ID

users = st.one_of(
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.text(min_size=1, max_size=50).filter(str.strip).filter(lambda text: text.isprintable()),
    st.integers(-(2**63), 2**63 - 1),
    st.uuids().map(Binary.from_uuid),
)
scores = st.integers(-(2**63) + 1, 2**63 - 1)
CURSOR = cursor_of("2025-W10", Position(120, ObjectId("6b07de66fb9301e45d8a19b3")))


@given(score=scores, user=users, period=st.text(max_size=20))
def test_a_cursor_reads_back_as_the_position_that_it_was_made_of(score: int, user: Any, period: str) -> None:
    cursor = cursor_of(period, Position(score, user))
    assert position_of(period, cursor) == Position(score, user)
    assert cursor.isascii()
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


def test_a_position_behind_a_uuid_reads_back_for_every_client() -> None:
    key = uuid.UUID(int=7)
    assert position_of("global", cursor_of("global", Position(1, key))).user == Binary.from_uuid(key)


@given(place=st.integers(0, len(CURSOR) - 1), letter=st.sampled_from("AbZ9-_=+/ é"))
def test_an_edited_cursor_is_refused(place: int, letter: str) -> None:
    edited = CURSOR[:place] + letter + CURSOR[place + 1 :]
    if base64_of(edited) != base64_of(CURSOR):
        with pytest.raises(CursorRefused, match="no cursor of a board") as caught:
            position_of("2025-W10", edited)
        assert caught.value.hint


def base64_of(text: str) -> bytes | None:
    """What a cursor decodes to; the last letter of base64 has bits that mean nothing."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


@pytest.mark.parametrize("odd", ["", "x", "ümlaut", "A" * 1_000_000, None, 7, b"x", {"$ne": ""}, ["x"]])
def test_what_is_no_cursor_is_refused(odd: Any) -> None:
    with pytest.raises(CursorRefused):
        position_of("global", odd)


def test_a_cursor_of_another_period_is_refused_with_that() -> None:
    with pytest.raises(CursorRefused, match="of another period than '2025-W11'"):
        position_of("2025-W11", CURSOR)


FORGED = {
    "half of a character": "\ud800",
    "a long id": "x" * 1_025,
    "17 MB": "x" * 17_000_000,
    "code": {"$code": "1"},
    "lost": "\ufffd",
    "a pattern": {"$regularExpression": {"pattern": "a", "options": ""}},
    "a question": {"$gt": ""},
    "no user": None,
    "a lot of digits": {"$numberDecimal": "9E+6000"},
}


@pytest.mark.parametrize("user", FORGED.values(), ids=FORGED)
def test_a_cursor_that_was_forged_with_a_right_sum_is_refused(user: Any) -> None:
    content = json.dumps({"p": "global", "s": 5, "u": user}).encode()
    forged = base64.urlsafe_b64encode(zlib.crc32(content).to_bytes(4) + content).decode().rstrip("=")
    with pytest.raises(CursorRefused):
        position_of("global", forged)


@pytest.mark.parametrize("letter", ["x", "\0", "é", "\U0001f600", '"'])
def test_a_cursor_behind_the_longest_id_reads_back(letter: str) -> None:
    position = Position(LARGEST, letter * LONGEST_ID, EPOCH, "earliest")
    cursor = cursor_of("x" * LONGEST_PERIOD, position)
    assert position_of("x" * LONGEST_PERIOD, cursor) == position


@pytest.mark.parametrize("n", [MOST_PLACES + 1, 2**31, 2**62, 2**63, 10**30, 10**5_000], ids=int.bit_length)
def test_more_places_than_a_question_may_ask_for_are_refused(n: int) -> None:
    assert check_number(MOST_PLACES) == MOST_PLACES
    with pytest.raises(NumberRefused, match="at most 1,000,000 places"):
        check_number(n)


@pytest.mark.parametrize(
    "odd",
    [None, 5, True, 1.5, "abc", b"abc", uuid.UUID(int=7), ObjectId()],
    ids=lambda odd: type(odd).__name__,
)
def test_several_users_that_are_no_list_are_refused(odd: Any) -> None:
    with pytest.raises(UserRefused, match="several users are a list"):
        ids_of_all(odd)
    assert ids_of_all(iter([5, "anna"])) == ids_of_all((5, "anna")) == [5, "anna"]


@pytest.mark.parametrize(
    "key", [ObjectId("6b07de66fb9301e45d8a19b3"), 7, Int64(2**40), "anna", Binary(b"7" * 16, 4)], ids=repr
)
def test_a_place_that_has_been_json_or_was_made_anew_names_its_user(key: Any) -> None:
    entry = {"_id": 1, "userId": key, "score": 5, "period": "global", "rev": 1}
    place = place_of(entry, 1, {"displayNameSnapshot": None, "avatarSnapshot": None})
    read = Place(**json.loads(json.dumps(dataclasses.asdict(place))))
    assert ids_of(place) == [key]
    assert key in ids_of(read)
    assert key in ids_of(dataclasses.replace(place, name="shown otherwise"))


def test_how_old_a_board_is_can_be_written_as_json_as_its_pages_say() -> None:
    told = [Freshness(EPOCH, 1.5), About("2025", EPOCH, None, False)]
    written = json.dumps([dataclasses.asdict(each) for each in told], default=dt.datetime.isoformat)
    assert [each.get("until", each.get("begins")) for each in json.loads(written)] == ["1970-01-01T00:00:00"] * 2


@pytest.mark.parametrize("odd", [-1, 1.5, "10", None, True, {"$gt": 0}])
def test_a_number_of_places_that_is_none_is_refused(odd: Any) -> None:
    with pytest.raises(NumberRefused, match="a whole number"):
        check_number(odd)


def test_every_refusal_is_an_error_of_use() -> None:
    assert issubclass(CursorRefused, UsageError)
    assert check_number(Int64(5)) == 5
