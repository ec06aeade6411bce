"""What a server is told to refuse: the shapes of events and of entries."""

from __future__ import annotations

from typing import Any

from lbmigrate.records import AVATAR_LENGTH, EARLIEST, LATEST, LONGEST_ID, MOST_POINTS, NAME_LENGTH, Document

_ANY_USER_ID = {"bsonType": ["objectId", "string", "int", "long", "binData"]}
_USER_ID = {**_ANY_USER_ID, "minLength": 1, "maxLength": LONGEST_ID}
# As an app may write it in an event: what JavaScript writes of a number beyond 32 bits is a double.
_ACTING_USER = {"anyOf": [_USER_ID, {"bsonType": "double", "multipleOf": 1}]}
_INT64 = {"bsonType": "long"}
_POINTS = {**_INT64, "minimum": -MOST_POINTS, "maximum": MOST_POINTS}
_DATE = {"bsonType": "date"}
_STRING = {"bsonType": "string"}
_SHORT = {**_STRING, "maxLength": 256}
_SHOWN = {"displayNameSnapshot": {"maxLength": NAME_LENGTH}, "avatarSnapshot": {"maxLength": AVATAR_LENGTH}}
_NO_SOURCE = {"bsonType": ["array", "regex", "null"]}  # no document has such an _id


def _shape(required: Document, optional: Document) -> Document:
    properties = {"_id": _STRING, **required, **optional}
    return {"bsonType": "object", "required": ["_id", *required], "properties": properties}


def _event_shape(user: Document, text: Document, points: Document, source: Document) -> Document:
    told = {"actionType": text, "points": points, "sourceId": source, "meta": {"bsonType": "object"}}
    return _shape({"userId": user, **told, "createdAt": _DATE}, {})


def _entry_shape(user: Document, text: Document, limits: Document) -> Document:
    """`limits` has for some of the fields what they may be beyond their types."""
    dates = dict.fromkeys(("lastUpdated", "lastEventAt", "createdAt", "updatedAt"), _DATE)
    shown: Document = {name: {"bsonType": ["string", "null"]} for name in ("displayNameSnapshot", "avatarSnapshot")}
    optional: Document = {
        "streak": {"bsonType": ["int", "long"]},
        **dates,
        "optOutSnapshot": {"bsonType": "bool"},
        **shown,
    }
    required = {"userId": user, "period": text, "score": _INT64, "events": _INT64, "rev": _INT64}
    return _shape(required, {name: {**shape, **limits.get(name, {})} for name, shape in optional.items()})


def _begins(with_: Any) -> Document:
    return {"$eq": [{"$indexOfBytes": ["$_id", with_]}, 0]}


def _fits() -> Document:
    """Whether an event's `_id` is made of its own fields, as far as a server can write its `sourceId` as a text.

    An exact text (`values.id_text`) is taken as it is, and so is what the server cannot write. `usual` is the `_id` of
    the source's first event, null in that case.
    """
    kind, whole = {"$type": "$sourceId"}, {"$eq": ["$sourceId", {"$trunc": "$sourceId"}]}
    integer = {"$toString": {"$convert": {"input": "$sourceId", "to": "long", "onError": None}}}
    plain = {"case": {"$in": [kind, ["objectId", "string", "int", "long"]]}, "then": {"$toString": "$sourceId"}}
    number = {"case": {"$in": [kind, ["double", "decimal"]]}, "then": {"$cond": [whole, integer, None]}}
    action = {"$concat": ["$actionType", ":"]}
    usual = {"$concat": [action, {"$switch": {"branches": [plain, number], "default": None}}]}
    rest = {"$substrBytes": ["$_id", {"$strLenBytes": "$$usual"}, -1]}
    adjustment = {"$cond": [_begins("$$usual"), {"$regexMatch": {"input": rest, "regex": "^#[1-9][0-9]*$"}}, False]}
    exact = [_begins({"$concat": [action, mark]}) for mark in ('"', "{")]
    unwritten = {"$and": [{"$eq": ["$$usual", None]}, _begins(action)]}
    judged = {"$or": [{"$eq": ["$_id", "$$usual"]}, unwritten, *exact, adjustment]}
    # Nearly every event is an ordinary one: asking for that first costs a quarter of asking for all of it.
    text = {"$convert": {"input": "$sourceId", "to": "string", "onError": None}}
    ordinary = {"$eq": ["$_id", {"$concat": [action, text]}]}
    strings = [{"$eq": [{"$type": name}, "string"]} for name in ("$_id", "$actionType")]
    return {"$and": [*strings, {"$or": [ordinary, {"$let": {"vars": {"usual": usual}, "in": judged}}]}]}


FITS = _fits()
EVENT_VALIDATOR: Document = {
    "$jsonSchema": _event_shape(_ACTING_USER, _SHORT, _POINTS, {"not": _NO_SOURCE}),
    "$expr": FITS,
    "createdAt": {"$gte": EARLIEST, "$lt": LATEST},
}
# Which types of the server name users of one kind (`schema.USERS`).
OF_KIND: dict[str, list[str]] = {
    "int": ["int", "long", "double", "decimal"], "string": ["string"], "uuid": ["binData"], "objectId": ["objectId"],
}  # fmt: skip
# What is about users whom an earlier server took: it is taken back, or put under a tombstone.
_APART: list[Document] = [{"meta.reason": {"$exists": True}}, {"meta.forgotten": True}]


def event_validator(kind: str | None) -> Document:
    """That of events whose users are all of this kind, but for what takes other ones back; None is any kind."""
    one_kind = {"$or": [{"userId": {"$type": OF_KIND[kind]}}, *_APART]} if kind else {}
    return {**EVENT_VALIDATOR, **one_kind}


def kind_in(validator: Any) -> str | None:
    """The kind of users that one of these takes alone. Raises LookupError for any other validator."""
    if validator == EVENT_VALIDATOR:
        return None
    found = [kind for kind in OF_KIND if validator == event_validator(kind)]
    if not found:
        raise LookupError("no validator of events as this version has them")
    return found[0]


ENTRY_VALIDATOR: Document = {"$jsonSchema": _entry_shape(_USER_ID, _SHORT, _SHOWN)}
FORMER_EVENT_VALIDATOR: Document = {"$jsonSchema": _event_shape(_ANY_USER_ID, _STRING, _INT64, {})}  # of 0.1.0
FORMER_ENTRY_VALIDATOR: Document = {"$jsonSchema": _entry_shape(_ANY_USER_ID, _STRING, {})}
