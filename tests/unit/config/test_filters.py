"""Filters are judged before any server is asked."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId, Regex
from bson.dbref import DBRef

from lbmigrate.config.filters import problems_of


def told(where: Any) -> dict[str, str]:
    return {problem.path: problem.message for problem in problems_of(where, "where")}


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"status": "done", "a.b.0": None, "": 1},
        {"a": {"$gte": 1, "$lt": 5}, "b": {"$in": [1, None, {"x": 1}]}, "c": {"$exists": True}, "d": {"$type": "int"}},
        {"$and": [{"a": 1}, {"$or": [{"b": {"$ne": 2}}, {"$nor": [{"c": 3}]}]}], "$comment": {"$any": "thing"}},
        {"a": {"$not": {"$gt": 5}}, "b": {"$not": Regex("x")}, "c": {"$regex": "^a", "$options": "i"}},
        {"a": {"$elemMatch": {"$gte": 80, "$lt": 85}}, "b": {"$elemMatch": {"kind": "x", "n": {"$gt": 1}}}},
        {"a": {"$elemMatch": {"$or": [{"x": 1}, {"y": 2}]}}, "b": {"$all": [{"$elemMatch": {"x": 1}}, 2]}},
        {"$expr": {"$gt": ["$a", {"$anything": "$b"}]}, "$jsonSchema": {"properties": {"a": {"bsonType": "int"}}}},
        {"$text": {"$search": "x"}, "a": {"$geoWithin": {"$box": [[0, 0], [1, 1]]}}, "b": {"$bitsAllSet": [1]}},
        {"owner": DBRef("users", ObjectId()), "owner.$id": 5, "tags": {"$size": 2}, "n": {"$mod": [4, 0]}},
        {"a": {"b": {"c": [1, {"d": 2}]}}},
    ],
)
def test_what_mongodb_understands_is_left_alone(where: dict[str, Any]) -> None:
    assert told(where) == {}


@pytest.mark.parametrize(
    ("where", "path", "words"),
    [
        ({"a": {"$gtt": 5}}, "where.a.$gtt", "MongoDB has no operator $gtt; did you mean $gt?"),
        ({"a": {"$exist": True}}, "where.a.$exist", "did you mean $exists?"),
        ({"a": {"$oids": "x"}}, "where.a.$oids", "did you mean $oid?"),
        ({"a": {"$zzzzz": 1}}, "where.a.$zzzzz", "MongoDB has no operator $zzzzz"),
        ({"$ands": [{"a": 1}]}, "where.$ands", "did you mean $and?"),
        ({"$gt": 5}, "where.$gt", "$gt is for a field: `field: {$gt: VALUE}`"),
        ({"$or": [{"a": {"$ni": [1]}}]}, "where.$or[0].a.$ni", "did you mean $nin?"),
        ({"$nor": [{"$and": [{"a": {"$lessThan": 1}}]}]}, "where.$nor[0].$and[0].a.$lessThan", "no operator"),
        ({"a": {"$not": {"$bigger": 1}}}, "where.a.$not.$bigger", "no operator $bigger"),
        ({"a": {"$elemMatch": {"b": {"$gtr": 1}}}}, "where.a.$elemMatch.b.$gtr", "did you mean $gt"),
        ({"a": {"$elemMatch": {"$gtr": 1}}}, "where.a.$elemMatch.$gtr", "did you mean $gt"),
        ({"a": {"$elemMatch": 5}}, "where.a.$elemMatch", "must be a mapping"),
        ({"a": {"$all": [{"$elemMatches": {}}]}}, "where.a.$all[0].$elemMatches", "did you mean $elemMatch?"),
        ({"a": {"$or": [{"$gt": 1}]}}, "where.a.$or", "$or is for a whole filter"),
        ({"a": {"$expr": {}}}, "where.a.$expr", "$expr is for a whole filter"),
        ({"a": {"$gt": 1, "b": 2}}, "where.a.b", "'b' stands among operators"),
        ({"a": {"b": {"$gt": 1}}}, "where.a.b.$gt", "$gt stands inside a value; give the whole path"),
        ({"a": {"$in": [{"$gt": 1}]}}, "where.a.$in[0].$gt", "$gt stands inside a value"),
        ({"a": {"$ne": {"b": {"$what": 1}}}}, "where.a.$ne.b.$what", "no operator $what"),
        ({"a": [1, {"$gt": 1}]}, "where.a[1].$gt", "$gt stands inside a value"),
        ({"a": {"$in": "done"}}, "where.a.$in", "must be a list of values"),
        ({"$or": {"a": 1}}, "where.$or", "must be a list of filters"),
        ({"$or": []}, "where.$or", "must be a list of filters"),
        ({"$or": [1]}, "where.$or[0]", "must be a filter"),
        ({"a": {"$near": [0, 0]}}, "where.a.$near", "write $geoWithin"),
        ({"$sampleRate": 0.5}, "where.$sampleRate", "always means the same"),
        ({"a\0b": 1}, "where", "no field has a NUL in its name"),
        ({"a": {"$" + "x" * 10**6: 1}}, "where.a.$" + "x" * 10**6, "no operator $xxx"),
    ],
)
def test_what_mongodb_does_not_have_is_named_where_it_stands(where: dict[str, Any], path: str, words: str) -> None:
    found = told(where)
    assert list(found) == [path]
    assert words in found[path]
    assert len(found[path]) < 200


@pytest.mark.parametrize("where", [{"$where": "1"}, {"a": {"$where": "1"}}, {"a": {"$function": {}}}])
def test_what_the_reader_has_told_of_is_not_told_twice(where: dict[str, Any]) -> None:
    assert told(where) == {}


@pytest.mark.parametrize("where", [None, 5, "done", []])
def test_what_is_no_filter_at_all_is_for_the_model_to_tell(where: Any) -> None:
    assert told(where) == {}
