"""Documents are found in what a server sends, and nothing else is taken for some."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.records import Document
from lbmigrate.values.documents import in_reply, one_after_another

some_documents = st.lists(st.fixed_dictionaries({"a": st.text(max_size=3) | st.integers(0, 9) | st.lists(st.none())}))


def encoded(documents: list[Document]) -> list[bytes]:
    return [bson.encode(each) for each in documents]


def cursor(batch: Any, name: str = "firstBatch") -> bytes:
    return bson.encode({name: batch, "id": bson.Int64(7), "ns": "app.tasks"})


@given(some_documents, st.sampled_from(["firstBatch", "nextBatch"]))
def test_the_documents_of_a_reply_are_found_however_many_there_are(some, name):
    found, rest = in_reply(cursor(some, name))
    assert found.all() == b"".join(encoded(some))
    assert rest == {"id": 7, "ns": "app.tasks"}


@pytest.mark.parametrize("number", [0, 1, 10, 11, 100, 101, 1_001])
def test_numbers_of_any_length_name_the_elements_of_a_reply(number):
    found, _ = in_reply(cursor([{"n": n} for n in range(number)]))
    assert [each["n"] for each in bson.decode_all(found.all())] == [*range(number)]


@pytest.mark.parametrize("odd", [0, 5, 9, 10, 50, 99, 100, 119])
def test_one_document_of_another_length_among_many_alike_is_found_in_its_place(odd):
    some = [{"n": n, "text": "longer" if n == odd else ""} for n in range(120)]
    found, _ = in_reply(cursor(some))
    assert bson.decode_all(found.all()) == some
    assert found.lengths.tolist() == [*map(len, encoded(some))]


@given(some_documents)
def test_documents_that_stand_one_after_another_are_found(some):
    found = one_after_another(b"".join(encoded(some)))
    assert found.all() == b"".join(encoded(some))
    assert found.lengths.tolist() == [*map(len, encoded(some))]


@given(some_documents, st.binary(max_size=12), st.integers(0, 40))
def test_what_is_damaged_is_told(some, other, place):
    raw = b"".join(encoded(some))
    damaged = raw[:place] + other + raw[place + len(other) + 1 :]
    try:
        found = one_after_another(damaged)
    except InvalidBSON:
        return
    assert found.all() == damaged


@pytest.mark.parametrize("batch", [5, "a", {"0": {}}, [1], [{}, "a"], [{}, [{}]]], ids=str)
def test_a_reply_without_a_batch_of_documents_is_told(batch):
    with pytest.raises(InvalidBSON):
        in_reply(cursor(batch))


@pytest.mark.parametrize("length", [-5, 0, 4, 6, 70_000])
def test_a_length_in_a_reply_that_cannot_be_is_told(length):
    raw, document = cursor([{"a": 1}, {"a": 2}]), bson.encode({"a": 1})
    place = raw.index(document)
    with pytest.raises(InvalidBSON):
        in_reply(raw[:place] + length.to_bytes(4, "little", signed=True) + raw[place + 4 :])
