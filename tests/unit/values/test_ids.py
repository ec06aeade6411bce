from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.values.id_text import id_text, id_texts
from lbmigrate.values.ids import IdType, coerce_id, coerce_ids, folded_id, id_forms, id_type, parse_id, plain_id

HEX = "507f1f77bcf86cd799439011"
OID = ObjectId(HEX)
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
BINARY = Binary.from_uuid(UUID)
LEGACY = Binary(UUID.bytes, 3)

object_ids = st.binary(min_size=12, max_size=12).map(ObjectId)
ids = st.one_of(
    object_ids,
    object_ids.map(str),
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.uuids(),
    st.uuids().map(Binary.from_uuid),
)
junk = st.none() | st.booleans() | st.floats() | st.just([1]) | st.just({"a": 1}) | st.binary() | st.just(" ")
targets: st.SearchStrategy[IdType | None] = st.sampled_from([None, "objectId", "string"])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (OID, "objectId"),
        ("firebase-uid", "string"),
        ("", None),
        (" \t", None),
        (7, "int"),
        (Int64(7), "int"),
        (0, "int"),
        (2**63 - 1, "int"),
        (2**63, None),
        (-(2**63), "int"),
        (-(2**63) - 1, None),
        (True, None),
        (7.0, "int"),
        (Decimal128("7"), "int"),
        (7.5, None),
        (2.0**63, None),
        (float("nan"), None),
        (Decimal128("7.5"), None),
        (Decimal128("Infinity"), None),
        (Decimal128("1E+6000"), None),
        (UUID, "uuid"),
        (BINARY, "uuid"),
        (LEGACY, "uuid"),
        (Binary(b"short", 4), None),
        (Binary(b"0123456789abcdef", 0), None),
        (None, None),
        ({"$oid": HEX}, None),
        ([OID], None),
        (dt.datetime(2025, 1, 1), None),
    ],
)
def test_only_four_types_can_name_a_user(value: Any, name: str | None) -> None:
    assert id_type(value) == name


@pytest.mark.parametrize(
    ("value", "to", "result"),
    [
        (OID, None, OID),
        (OID, "objectId", OID),
        (OID, "string", HEX),
        (HEX, None, HEX),
        (HEX, "objectId", OID),
        (HEX.upper(), "objectId", OID),
        (HEX, "string", HEX),
        ("aa aa aa aa aa aa aa aa ", "objectId", None),
        (HEX[:-1], "objectId", None),
        (HEX + "\n", "objectId", None),
        ("default_user", "objectId", None),
        ("default_user", "string", "default_user"),
        (42, None, 42),
        (42, "string", "42"),
        (Int64(-42), "string", "-42"),
        (42, "objectId", None),
        (UUID, "string", str(UUID)),
        (BINARY, None, BINARY),
        (BINARY, "string", str(UUID)),
        (BINARY, "objectId", None),
        (LEGACY, None, LEGACY),
        (LEGACY, "string", None),
        (True, "string", None),
        (1.0, "string", "1"),
        (1.0, None, 1),
        (Decimal128("-17"), None, -17),
        (1.5, "string", None),
        ("  ", "string", None),
        (None, "string", None),
    ],
)
def test_an_id_becomes_the_asked_for_type_or_nothing(value: Any, to: IdType | None, result: Any) -> None:
    found = coerce_id(value, to)
    assert (found, type(found)) == (result, type(result))


@given(st.lists(ids | junk), targets)
def test_a_column_is_coerced_like_its_values(values: list[Any], to: IdType | None) -> None:
    expected = [coerce_id(value, to) for value in values]
    found = coerce_ids(values, to)
    assert [(type(value), repr(value)) for value in found] == [(type(value), repr(value)) for value in expected]


@pytest.mark.parametrize("column", [[OID, OID], [OID, None], ["a", "b"], ["a", ""], [Int64(1), UUID], ["a", None], []])
@pytest.mark.parametrize("to", [None, "objectId", "string"])
def test_a_column_of_one_type_is_coerced_like_its_values(column: list[Any], to: IdType | None) -> None:
    assert coerce_ids(column, to) == [coerce_id(value, to) for value in column]


@pytest.mark.parametrize(
    ("argument", "candidates"),
    [
        (HEX, [OID, HEX]),
        (str(UUID), [BINARY, str(UUID)]),
        ("17", [17, "17"]),
        ("-17", [-17, "-17"]),
        ("007", ["007"]),
        ("9" * 19, ["9" * 19]),
        (str(2**63 - 1), [2**63 - 1, str(2**63 - 1)]),
        (str(-(2**63)), [-(2**63), str(-(2**63))]),
        ("ada@example.org", ["ada@example.org"]),
        ("", [""]),
    ],
)
def test_an_argument_may_mean_several_ids_and_the_string_is_the_last(argument: str, candidates: list[Any]) -> None:
    assert parse_id(argument) == candidates


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (OID, HEX),
        ("t-1", "t-1"),
        (42, "42"),
        (Int64(42), "42"),
        (UUID, str(UUID)),
        (BINARY, str(UUID)),
        (None, "null"),
        (True, "true"),
        ({"user": OID, "day": "2025-01-01"}, f'{{"user": {{"$oid": "{HEX}"}}, "day": "2025-01-01"}}'),
        (dt.datetime(2025, 1, 1), '{"$date": "2025-01-01T00:00:00Z"}'),
        (dt.timedelta(1), "datetime.timedelta(days=1)"),
    ],
)
def test_an_id_is_written_in_one_way(value: Any, written: str) -> None:
    assert id_text(value) == written


@given(st.lists(ids | junk))
def test_a_column_is_written_like_its_values(values: list[Any]) -> None:
    assert id_texts(values) == [id_text(value) for value in values]


@given(st.lists(object_ids))
def test_object_ids_are_written_as_their_24_digits(values: list[ObjectId]) -> None:
    assert id_texts(values) == [str(value) for value in values]


@pytest.mark.parametrize(
    ("user", "forms"),
    [
        (OID, [OID, HEX, HEX.upper()]),
        (HEX.upper(), [OID, HEX.upper(), HEX]),
        (UUID, [BINARY, str(UUID)]),
        (17, [17, "17"]),
        ("Ada", ["Ada"]),
    ],
)
def test_one_user_may_be_written_in_several_forms(user: Any, forms: list[Any]) -> None:
    assert id_forms(user) == forms


@pytest.mark.parametrize(
    ("key", "folded"), [(OID, HEX), (HEX.upper(), HEX), (BINARY, str(UUID)), (17, "17"), ("17", "17"), ("Ada", "Ada")]
)
def test_all_forms_of_an_id_fold_into_one(key: Any, folded: str) -> None:
    assert folded_id(key) == folded


def test_a_uuid_is_read_as_one_and_an_old_one_whose_bytes_nobody_knows_the_order_of_is_left_alone() -> None:
    assert plain_id(BINARY) == UUID
    for other in (LEGACY, UUID, OID, "ada", None):
        assert plain_id(other) is other
