"""How ids are written: ordinary ones as ever, and no two that are not the same in one way."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.rules.event import former_ids
from lbmigrate.rules.unwind import element_ids
from lbmigrate.values.id_text import exact_text, former_text, former_texts, id_text, id_texts, owner_texts
from lbmigrate.values.ids import in_parts, is_document_id, plain_id, readings, same_id

HEX = "507f1f77bcf86cd799439011"
OID = ObjectId(HEX)
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
LEGACY = Binary(UUID.bytes, 3)
NUMBER = 1795646312070  # what Date.now() gives: a double, once JavaScript has written it

object_ids = st.binary(min_size=12, max_size=12).map(ObjectId)
numbers = st.integers(-(2**63), 2**63 - 1)
plain = st.one_of(
    object_ids, st.text(), numbers, numbers.map(Int64), st.floats(allow_nan=False), st.booleans(), st.uuids(),
    st.uuids().map(lambda value: Binary(value.bytes, 3)), st.binary(),
    numbers.map(lambda value: Decimal128(str(value))),
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    st.dictionaries(st.sampled_from(["a", "b", "$oid"]), st.sampled_from([0, 1, "x", "$", HEX, OID]), max_size=2),
)  # fmt: skip
# Strings that look like another id, and what an exact text looks like.
posing = st.one_of(plain.map(id_text), plain.map(exact_text), plain.map(former_text))
mixed = st.one_of(plain, posing, posing.map(lambda text: f"{text}#1"), posing.map(lambda text: f"{text}/{text}"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (OID, HEX),
        ("task-1", "task-1"),
        (HEX, HEX),
        (str(UUID), str(UUID)),
        ("17", "17"),
        ("a/b", "a/b"),
        ("V#1", "V#1"),
        ("ada@example.org", "ada@example.org"),
        (UUID, str(UUID)),
        (Binary.from_uuid(UUID), str(UUID)),
        (LEGACY, str(UUID)),
        (17, "17"),
        (Int64(-17), "-17"),
        (5.5, "5.5"),
        ({"list": OID, "day": "2025-01-01"}, f'{{"list": {{"$oid": "{HEX}"}}, "day": "2025-01-01"}}'),
        (dt.datetime(2025, 1, 1), '{"$date": "2025-01-01T00:00:00Z"}'),
        (True, "true"),
    ],
)
def test_an_ordinary_id_is_written_as_ever(value: Any, text: str) -> None:
    assert id_text(value) == former_text(value) == text


@pytest.mark.parametrize(
    "value", [NUMBER, Int64(NUMBER), float(NUMBER), Decimal128(str(NUMBER)), Decimal128("1795646312070.0")]
)
def test_numbers_of_one_value_are_one_id_whatever_their_type(value: Any) -> None:
    assert id_text(value) == "1795646312070"
    assert same_id(value, NUMBER)
    assert (plain_id(value), isinstance(plain_id(value), int)) == (NUMBER, True)


@pytest.mark.parametrize("value", [-0.0, Decimal128("-0"), Decimal128("0E+6000"), 0])
def test_every_zero_is_one_id(value: Any) -> None:
    assert (id_text(value), exact_text(value)) == (id_text(0), exact_text(0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, Decimal128("1E+6144"), Decimal128("NaN"), 0.1])
def test_what_is_no_whole_number_has_a_short_text_of_its_own(value: Any) -> None:
    assert len(id_text(value)) < 80
    assert not same_id(value, 1)


NUMBERS = [
    0, -0.0, 1, -1, 0.5, 0.1, 1e15, 2.0**53, 2**53 + 1, 2**63 - 1, -(2**63), 2.0**63, 1e22, 1e33, 1e300, 5e-324,
    10.0**22 * 2**43,
    *map(float, ("nan", "inf", "-inf")),
]  # fmt: skip
ZEROS = ("0", "-0", "0E+10", "NaN", "-NaN", "Infinity", "-Infinity", "1E3", "1000.0", "0.10", "0.1", "9E+6144")
decimals = st.one_of(
    st.sampled_from(ZEROS),
    st.sampled_from(NUMBERS[:-3]).map(lambda number: str(Decimal(number))),
    st.tuples(st.integers(-(10**34) + 1, 10**34 - 1), st.integers(-6176, 6111)).map(
        lambda parts: "{}E{}".format(*parts)
    ),
    st.tuples(st.integers(-999, 999), st.integers(-3, 30)).map(lambda parts: "{}E{}".format(*parts)),
).filter(lambda text: len(Decimal(text).as_tuple().digits) <= 34)
sized = st.one_of(
    st.sampled_from(NUMBERS), numbers, numbers.map(Int64), st.floats(), st.integers(-9, 9).map(float),
    decimals.map(Decimal128),
)  # fmt: skip


def order(number: Any) -> Any:
    """The place of a number among all numbers, as a server compares them: by value alone; NaN is one place."""
    exact = number.to_decimal() if isinstance(number, Decimal128) else Decimal(number)
    return "NaN" if exact.is_nan() else exact


@given(sized, sized)
@settings(max_examples=100)
def test_equal_numbers_have_one_id_and_different_ones_never_share_one(one: Any, other: Any) -> None:
    for first, second in ((one, other), ({"a": one}, {"a": other}), ({"a": {"b": [one]}}, {"a": {"b": [other]}})):
        assert (id_text(first) == id_text(second)) == (order(one) == order(other))
        assert same_id(first, second) == (order(one) == order(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1E3", "1000.0"),
        ("0.1", "0.10"),
        ("0.5", "0.50"),
        ("1E40", "10E39"),
        ("1234567890123456789012345678901234E-40",) * 2,
    ],
)
def test_a_number_has_one_id_however_its_zeros_are_written(one: str, other: str) -> None:
    assert id_text(Decimal128(one)) == id_text(Decimal128(other))
    assert same_id(Decimal128(one), Decimal128(other))
    assert not same_id(Decimal128("0.1"), 0.1)  # which is a little more


def test_a_whole_number_within_a_compound_id_is_written_like_an_integer() -> None:
    forms = [{"list": 7, "at": wide} for wide in (NUMBER, Int64(NUMBER), float(NUMBER), Decimal128(str(NUMBER)))]
    assert {id_text(form) for form in forms} == {'{"list": 7, "at": 1795646312070}'}
    assert former_text(forms[2]) == '{"list": 7, "at": 1795646312070.0}'
    assert not same_id({"a": 1}, {"a": True})
    assert not same_id({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_earlier_versions_wrote_whole_doubles_with_a_point() -> None:
    assert former_ids("done", [7.0, Decimal128("7"), 7, OID, "x", '"']) == {
        "done:7": 'done:{"$numberDecimal": "7"}', r'done:"\""': 'done:"',
    }  # fmt: skip
    assert former_ids("done", [8.0]) == {"done:8": "done:8.0"}
    assert former_texts([OID, 7, Int64(7), UUID]) is None is former_texts(["a", HEX])


@given(mixed, mixed)
def test_two_ids_share_an_exact_text_only_if_they_are_the_same(one: Any, other: Any) -> None:
    assert (exact_text(one) == exact_text(other)) == same_id(one, other)
    assert "/" not in exact_text(one)


@given(mixed, mixed)
def test_no_exact_text_is_the_ordinary_text_of_anything(one: Any, other: Any) -> None:
    if is_document_id(one):
        assert id_text(one) != exact_text(other) or same_id(one, other)


@given(st.lists(mixed))
def test_a_column_is_written_like_its_values(values: list[Any]) -> None:
    assert id_texts(values) == [id_text(value) for value in values]


@given(mixed.filter(lambda value: is_document_id(value) and not isinstance(value, bytes)))
def test_a_text_is_read_as_the_id_that_it_was_written_for(value: Any) -> None:
    for text in (
        {id_text(value), exact_text(value), *owner_texts([value])} if not isinstance(value, Binary | bytes) else ()
    ):
        assert any(same_id(plain_id(read), value) or id_text(read) == id_text(value) for read in readings(text))


# --- elements ------------------------------------------------------------------------------------------------------


def named(*elements: tuple[Any, Any]) -> list[str]:
    return element_ids([{"_id": owner, "x": {"id": name}} for owner, name in elements], "x").now


@pytest.mark.parametrize(
    ("owner", "element", "name"),
    [
        (OID, OID, f"{HEX}/{HEX}"),
        (OID, HEX, f"{HEX}/{HEX}"),
        ("ada", "17", "ada/17"),
        (str(UUID), 3, f"{UUID}/3"),
        (7, "b/c", "7/b/c"),
        (OID, float(NUMBER), f"{HEX}/{NUMBER}"),
        ({"a": 1}, "x", '{"a": 1}/x'),
    ],
)
def test_an_ordinary_element_is_named_as_ever(owner: Any, element: Any, name: str) -> None:
    assert named((owner, element)) == [name]


def test_the_owner_of_an_element_is_told_by_its_text_alone() -> None:
    assert named(("A", "B/C"), ("A/B", "C")) == ["A/B/C", r'"A\u002fB"/C']
    assert named((OID, 1), (HEX, 1)) == [f"{HEX}/1", f'"{HEX}"/1']
    assert named((7, 1), ("7", 1)) == ["7/1", '"7"/1']
    assert named((str(UUID), 1), (UUID, 1), (LEGACY, 1))[:2] == [f"{UUID}/1", f'{{"$uuid": "{UUID}"}}/1']


def test_elements_of_two_types_with_one_text_are_told_apart_and_those_with_one_id_are_not() -> None:
    assert named((OID, 1), (OID, "1"), (OID, 1)) == [f"{HEX}/1", f'{HEX}/"1"', f"{HEX}/1"]


def test_what_an_earlier_version_called_an_element_is_known() -> None:
    documents = [{"_id": "A/B", "x": {"id": "C"}}, {"_id": UUID, "x": {"id": 7.0}}, {"_id": OID, "x": {"id": "C"}}]
    assert element_ids(documents, "x").former == {
        r'"A\u002fB"/C': "A/B/C", f'{{"$uuid": "{UUID}"}}/7': f"{UUID}/7.0",
    }  # fmt: skip


@given(st.lists(st.tuples(mixed.filter(is_document_id), mixed), min_size=2, max_size=2))
def test_no_two_elements_share_a_name(pairs: list[tuple[Any, Any]]) -> None:
    (owner, element), (other_owner, other) = pairs
    same = same_id(owner, other_owner) and same_id(element, other)
    if element is not None and other is not None:
        first, second = named(*pairs)
        assert (first == second) == same


# --- in parts ------------------------------------------------------------------------------------------------------


def test_ids_are_asked_for_in_parts_that_a_server_takes() -> None:
    ids = ["x" * 300_000] * 30 + [OID, 7, UUID, {"a": "y" * 1000}]
    parts = list(in_parts(ids))
    assert [value for part in parts for value in part] == ids
    assert all(sum(len(str(value)) for value in part) <= 4_100_000 for part in parts)
    assert [len(part) for part in in_parts(list(range(25)), 10)] == [10, 10, 5]
    assert list(in_parts(["x" * 5_000_000, "y"])) == [["x" * 5_000_000], ["y"]]
