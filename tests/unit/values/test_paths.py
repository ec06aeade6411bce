from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.values.paths import pluck, projection_of

names = st.sampled_from(["a", "b", "c", "0", "1", "_id"])
dotted = st.lists(names, min_size=1, max_size=4).map(".".join)
values = st.recursive(
    st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def walk(value: object, parts: list[str]) -> object:
    """One path in one document, the plain way."""
    if not parts:
        return value
    try:
        inner = value[int(parts[0])] if isinstance(value, list) else value[parts[0]]  # type: ignore[index]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return walk(inner, parts[1:])


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"userId": 1}, "userId", 1),
        ({}, "userId", None),
        ({"userId": None}, "userId", None),
        ({"settings": {"board": {"hidden": True}}}, "settings.board.hidden", True),
        ({"settings": 3}, "settings.board.hidden", None),
        ({"settings": None}, "settings.board", None),
        ({"profileDetails": [{"uid": "u1"}]}, "profileDetails.0.uid", "u1"),
        ({"profileDetails": []}, "profileDetails.0.uid", None),
        ({"stats": {"2024": {"n": 5}}}, "stats.2024.n", 5),
        ({"tags": ["x", "y"]}, "tags.1", "y"),
        ({"tags": ["x"]}, "tags.-1", None),
        ({"tags": ["x"]}, "tags.²", None),
        ({"tags": ["x"]}, "tags." + "9" * 5000, None),
        ({"tags": "xyz"}, "tags.0", None),
    ],
)
def test_a_path_leads_to_its_value_or_to_none(document: dict[str, object], path: str, value: object) -> None:
    assert pluck([document], [path]) == {path: [value]}


@given(st.lists(st.dictionaries(names, values, max_size=4), max_size=5), st.lists(dotted, max_size=4))
def test_every_column_is_what_walking_each_document_finds(documents: list[dict[str, object]], paths: list[str]) -> None:
    expected = {path: [walk(document, path.split(".")) for document in documents] for path in paths}
    assert pluck(documents, paths) == expected


def test_the_projection_keeps_the_ancestor_of_a_colliding_pair() -> None:
    assert projection_of(["a.b", "a", "c.d"]) == {"_id": 1, "a": 1, "c.d": 1}
    assert projection_of(["a.b.c.d", "a.b.c"]) == {"_id": 1, "a.b.c": 1}


def test_the_projection_ends_before_an_array_index() -> None:
    assert projection_of(["profileDetails.0.uid", "0.a"]) == {"0.a": 1, "_id": 1, "profileDetails": 1}


def test_the_id_is_projected_even_if_nothing_is_asked_for() -> None:
    assert projection_of([]) == {"_id": 1}


def test_a_path_inside_the_id_does_not_collide_with_it() -> None:
    assert projection_of(["_id.day", "ab", "a.b"]) == {"_id": 1, "a.b": 1, "ab": 1}


@given(st.lists(dotted, max_size=6))
def test_no_projected_path_contains_another_and_every_path_is_covered(paths: list[str]) -> None:
    wanted = projection_of(paths)
    assert not any(f"{b}.".startswith(f"{a}.") or f"{a}.".startswith(f"{b}.") for a, b in combinations(wanted, 2))
    assert all(any(f"{path}.".startswith(f"{kept}.") for kept in wanted) for path in paths)
    assert set(wanted.values()) == {1}
