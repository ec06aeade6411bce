from __future__ import annotations

import datetime as dt
import gzip
import json
import uuid
from pathlib import Path

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.values import extjson, json_stream

ID = ObjectId("65a000000000000000000001")
NOON = dt.datetime(2025, 11, 4, 12, 30, 15, 250_000)

scalars = (
    st.none()
    | st.booleans()
    | st.text(max_size=20)
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.floats(allow_nan=False)
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.uuids()
    | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, fold=0)
    )
)
names = st.text("abcdefgh_", min_size=1, max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
documents = st.lists(st.dictionaries(names, values, max_size=5), max_size=6)


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@given(documents=documents, name=st.sampled_from(["a.ndjson", "a.ndjson.gz", "a.json"]), canonical=st.booleans())
def test_what_was_written_is_read_back(tmp_path_factory, documents, name, canonical):
    path = tmp_path_factory.mktemp("extjson") / name
    assert extjson.write(path, documents, canonical=canonical) == len(documents)
    assert list(extjson.read(path)) == documents


@given(documents=documents)
def test_canonical_keeps_the_types_of_numbers(tmp_path_factory, documents):
    path = tmp_path_factory.mktemp("extjson") / "a.ndjson"
    extjson.write(path, documents, canonical=True)
    assert repr(list(extjson.read(path))) == repr(documents)


@given(documents=documents, indent=st.sampled_from([None, 2]), size=st.integers(1, 50))
def test_an_array_is_read_whatever_the_pieces_it_arrives_in(tmp_path_factory, documents, indent, size):
    path = tmp_path_factory.mktemp("extjson") / "a.json"
    path.write_text(extjson.json_util.dumps(documents, json_options=extjson.CANONICAL, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "READ_SIZE", size)
        assert list(extjson.read(path)) == documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"$oid": "65a000000000000000000001"}', ID),
        ('{"$date": "2025-11-04T12:30:15.250Z"}', NOON),
        ('{"$date": "2025-11-04T13:30:15.250+01:00"}', NOON),
        ('{"$date": {"$numberLong": "1762259415250"}}', NOON),
        ('{"$date": 1762259415250}', NOON),
        ('{"$numberInt": "5"}', 5),
        ('{"$numberLong": "5"}', Int64(5)),
        ('{"$numberDouble": "5.0"}', 5.0),
        ('{"$numberDecimal": "1.10"}', Decimal128("1.10")),
        ('{"$uuid": "00000000-0000-0000-0000-000000000007"}', uuid.UUID(int=7)),
    ],
)
def test_both_dialects_of_extended_json_are_understood(tmp_path, text, value):
    [document] = extjson.read(file(tmp_path, "a.ndjson", f'{{"x": {text}}}'))
    assert document == {"x": value}
    assert type(document["x"]) is type(value)


def test_a_date_past_the_year_9999_does_not_stop_the_reading(tmp_path):
    [document] = extjson.read(file(tmp_path, "a.ndjson", '{"x": {"$date": {"$numberLong": "999999999999999"}}}'))
    assert int(document["x"]) == 999999999999999


def test_empty_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    assert list(extjson.read(file(tmp_path, "a.ndjson", '\ufeff{"x": 1}\r\n\n  \n{"x": 2}'))) == [{"x": 1}, {"x": 2}]


def test_json_may_hold_one_document_a_line(tmp_path):
    assert list(extjson.read(file(tmp_path, "a.json", '{"x": 1}\n{"x": 2}\n'))) == [{"x": 1}, {"x": 2}]


def test_reading_does_not_wait_for_the_end_of_the_file(tmp_path):
    lines = '{"x": 1}\n' * 200_000 + "broken"
    for name in ("a.ndjson", "a.json", "a.ndjson.gz"):
        assert next(extjson.read(file(tmp_path, name, lines))) == {"x": 1}


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("a.ndjson", '{"x": 1}\n\n{"x": \n{"x": 3}', 3, "Expecting value at column 6"),
        ("a.ndjson.gz", '{"x": 1}\n[1, 2]\n', 2, "a document is expected here, not [1, 2]"),
        ("a.ndjson", '{"_id": {"$oid": "xyz"}}', 1, "not a valid ObjectId"),
        ("a.ndjson", '{"x": {"$date": "yesterdayZ"}}', 1, "Invalid isoformat string"),
        ("a.ndjson", '{"x": {"$numberDecimal": "much"}}', 1, "ConversionSyntax"),
        ("a.json", '[\n{"x": 1},\n{"x": 2},\n{"x": oops}]', 4, "Expecting value at column 7"),
        ("a.json", '[\n{"x": 1},\n{"x":\n\n  2', 5, "Expecting ',' delimiter at column 4"),
        ("a.json", '{\n  "x": 1\n}\n{oops}', 4, "Expecting property name enclosed in double quotes at column 2"),
        ("a.json", '{"x": 1}\n"text"', 2, 'a document is expected here, not "text"'),
        ("a.json", '[{"x": 1},\n{"x": 2},\n', 3, "the array does not end"),
    ],
)
def test_a_broken_place_is_named_by_file_and_line(tmp_path, name, text, line, what):
    path = file(tmp_path, name, text)
    with pytest.raises(UsageError) as caught:
        list(extjson.read(path))
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert what in caught.value.message
    assert caught.value.hint


def test_what_comes_before_a_broken_line_is_read(tmp_path):
    reader = extjson.read(file(tmp_path, "a.ndjson", '{"x": 1}\n{'))
    assert next(reader) == {"x": 1}
    with pytest.raises(UsageError):
        next(reader)


@pytest.mark.parametrize(
    "content",
    [b"plain text", gzip.compress(b'{"x": 1}\n' * 1000, mtime=0)[:30], gzip.compress(b'{"x": "\xff"}', mtime=0)],
)
def test_a_damaged_archive_is_named(tmp_path, content):
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.ndjson\.gz cannot be read"):
        list(extjson.read(path))


def test_files_are_collections_by_name(tmp_path):
    for name in ("tasks.ndjson.gz", "sessions.json", "app.users.ndjson", "notes.txt", "half.ndjson.part"):
        (tmp_path / name).touch()
    (tmp_path / "folder.json").mkdir()
    assert extjson.collections(tmp_path) == {
        "app.users": tmp_path / "app.users.ndjson",
        "sessions": tmp_path / "sessions.json",
        "tasks": tmp_path / "tasks.ndjson.gz",
    }


def test_a_missing_or_empty_directory_says_what_was_looked_for(tmp_path):
    for folder, what in ((tmp_path / "nowhere", "is not a directory"), (tmp_path, "holds no collection")):
        with pytest.raises(UsageError, match=what) as caught:
            extjson.collections(folder)
        assert "tasks.ndjson.gz" in caught.value.hint


def test_two_files_of_one_collection_are_refused(tmp_path):
    for name in ("tasks.ndjson.gz", "tasks.json"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="both collection 'tasks'"):
        extjson.collections(tmp_path)


def test_equal_documents_make_equal_files(tmp_path):
    for name in ("a.ndjson.gz", "b.ndjson.gz"):
        extjson.write(tmp_path / name, [{"_id": ID, "at": NOON}])
    first = (tmp_path / "a.ndjson.gz").read_bytes()
    assert first == (tmp_path / "b.ndjson.gz").read_bytes()
    assert first[4:8] == bytes(4)  # no time in the gzip header


def test_a_written_line_is_plain_json(tmp_path):
    extjson.write(tmp_path / "a.ndjson", [{"_id": ID, "name": "Åse", "at": NOON, "n": Int64(3)}])
    text = (tmp_path / "a.ndjson").read_text("utf-8")
    assert "Åse" in text
    assert json.loads(text) == {
        "_id": {"$oid": str(ID)}, "name": "Åse", "at": {"$date": "2025-11-04T12:30:15.250Z"}, "n": 3,
    }  # fmt: skip


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.ndjson"
    extjson.write(path, [{"x": 1}])

    def failing():
        yield {"x": 2}
        raise RuntimeError("the server went away")

    with pytest.raises(RuntimeError):
        extjson.write(path, failing())
    assert list(extjson.read(path)) == [{"x": 1}]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(LbmigrateError, match="cannot be written: No such file"):
        extjson.write(tmp_path / "nowhere" / "a.ndjson", [])
