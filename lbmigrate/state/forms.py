"""What the value of a field in a row of the state may be, and what a kind of row is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from bson import Code, ObjectId, json_util
from bson.errors import BSONError

from lbmigrate.records import Document
from lbmigrate.state.statuses import Status
from lbmigrate.values.brackets import bracket_of
from lbmigrate.values.ids import id_type

MOST_FENCE = 2**53  # beyond it counting up by one does nothing to a double


@dataclass(frozen=True, slots=True)
class Form:
    """What a value must be, in words and as a test."""

    words: str
    test: Callable[[Any], bool]


Safe = Callable[[Document], Any]


class _Absent:
    """Stands for a field that is left out."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Field:
    """What a field must be. One that is `needed` spoils the row; any other counts as `instead` where it is not right.

    `null` may stand for it. It may be missing, unless it is `due` in such a row.
    """

    form: Form
    null: bool = False
    needed: bool = False
    instead: Safe = lambda row: ABSENT
    due: Callable[[Mapping[str, Any]], bool] = lambda row: False

    def fits(self, row: Mapping[str, Any], name: str) -> bool:
        if name not in row:
            return not self.needed and not self.due(row)
        return (self.null and row[name] is None) or self.form.test(row[name])


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of row: what its ids look like, what it holds, and what follows where that cannot be read."""

    ids: str
    fields: Mapping[str, Field]
    then: str
    problem: Callable[[Document], str] = field(default=lambda row: "")
    record: Callable[[Mapping[str, Any]], bool] = field(default=lambda row: False)  # nothing depends on such a row


def _is_time(value: Any) -> bool:
    """A time that Python can count with: the year 57805 is none."""
    return isinstance(value, dt.datetime)


def is_whole(value: Any) -> bool:
    """A number without a fraction, as Python has them; `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_fence(value: Any) -> bool:
    """A number that can be counted up and compared: no NaN, and not below zero."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_FENCE


def is_number(value: Any) -> bool:
    """Whether this is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_names(value: Any) -> bool:
    """Whether this is a list of texts."""
    return isinstance(value, list) and all(map(is_text, value))


def is_counts(value: Any) -> bool:
    """Whether this is an object of whole numbers."""
    return isinstance(value, dict) and all(map(is_whole, value.values()))


def status(kind: type[Status]) -> Form:
    """One of the statuses of a kind."""
    known = frozenset(member.value for member in kind)
    return Form("one of " + ", ".join(member.value for member in kind), lambda value: is_among(value, known))


def is_among(value: Any, known: frozenset[str]) -> bool:
    """Whether this is one of these texts; not all that a row may hold can be looked up in a set."""
    return is_text(value) and value in known


def record(words: str, **fields: Callable[[Any], bool]) -> Form:
    """An object with at least these fields. A name that ends in `_` (`run_`) may be absent or null."""

    def test(value: Any) -> bool:
        return isinstance(value, dict) and all(_has(value, name, each) for name, each in fields.items())

    return Form(words, test)


def _has(value: Mapping[str, Any], name: str, test: Callable[[Any], bool]) -> bool:
    plain = name.removesuffix("_")
    return (plain != name and value.get(plain) is None) or (plain in value and test(value[plain]))


def is_text(value: Any) -> TypeGuard[str]:
    """Whether this is a text. JavaScript code, a str to Python, is none and cannot be looked up in a dict or a set."""
    return isinstance(value, str) and not isinstance(value, Code)


def is_anything(_: Any) -> bool:
    """Whatever this is."""
    return True


def _is_rules(value: Any) -> bool:
    """The digest of a configuration, or those of its parts by their names."""
    return is_text(value) or (isinstance(value, dict) and all(map(is_text, value.values())))


def _is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def is_object(value: Any) -> bool:
    """Whether this is an object."""
    return isinstance(value, dict)


def _is_seconds(value: Any) -> bool:
    """Seconds, by what they went into."""
    return isinstance(value, dict) and all(map(is_number, value.values()))


def is_list(value: Any) -> bool:
    """Whether this is a list."""
    return isinstance(value, list)


def _or_null(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


def bounds_problem(row: Mapping[str, Any]) -> str:
    """What is wrong with the bounds of a span; empty when documents can be asked for by them.

    Guessing them could lose documents: between a number and an id there is nothing.
    """
    if not is_text(row.get("key")):
        return "key must be text"
    if not {"low", "high"} <= row.keys():
        return "low and high must be there"
    extra = _filter(row.get("extra"))
    if extra is None:
        return "extra must be a filter as Extended JSON"
    if bracket_of(row["low"]) != bracket_of(row["high"]):
        return "low and high must be of one type"
    return "low and high must be there" if row["low"] is None and not extra else ""


def _filter(text: Any) -> Document | None:
    try:
        found = json_util.loads(text)
    except (BSONError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def chunk_problem(row: Mapping[str, Any]) -> str:
    """What is wrong with the bounds of a chunk; empty when it can be read again."""
    return bounds_problem(row) or ("" if isinstance(row.get("closed"), bool) else "closed must be true or false")


def _is_span(value: Any) -> bool:
    return isinstance(value, dict) and not bounds_problem(value)


def _is_spans(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_span, value))


TEXT, TIME = Form("text", is_text), Form("a time", _is_time)
WHOLE, NUMBER = Form("a whole number", is_whole), Form("a number", is_number)
YES_OR_NO = Form("yes or no", _is_yes_or_no)
NAMES, COUNTS, LIST = Form("a list of texts", is_names), Form("counts", is_counts), Form("a list", is_list)
FENCE = Form(f"a number from 0 to {MOST_FENCE}", is_fence)
BYTES = Form("binary data", lambda value: isinstance(value, bytes) and bool(value))
ID = Form("an id (ObjectId, text, whole number, UUID)", lambda value: id_type(value) is not None)
RECORD = Form("an object", is_object)
OBJECT_ID = Form("an ObjectId", lambda value: isinstance(value, ObjectId))
HOLDER = record(
    "a process: host, pid, born", host=is_text, pid=is_whole, born=is_number, command_=is_text, table_=is_text
)
OPTIONS = record("an object with a command", command_=is_text)
PAUSE = record("who paused and since when", by=is_text, at=_is_time)
RULES = Form("a digest, or digests by their names", _is_rules)
MOMENT = Form(
    "a moment in words and as a time: words, at",
    lambda value: isinstance(value, dict) and is_text(value.get("words")) and _is_time(value.get("at")),
)
IDENTITIES = Form("the identities of collections by their names", lambda value: isinstance(value, dict) and all(
    map(is_text, value.values())
))  # fmt: skip
MARKS = record(  # of which earlier runs have a single digest
    "the version and the digests of a run: version, digests", version=is_text, digests_=is_object, digest_=is_text
)
LETTER = record("what was written: n, body", n=is_whole, body=lambda value: isinstance(value, bytes))
FLAG_BEFORE = record("the flag as it was", collection=_is_yes_or_no, document=_or_null(is_object))
ROLLING = record("how far a roll-up is: until, after", until=_is_time, after=is_anything)
TOKEN = record("a resume token", _data=is_text)
MISSED = record("what the tail missed: since, full, passes", since=_or_null(_is_time), full=_is_yes_or_no,
                passes=_or_null(is_counts))  # fmt: skip
TUNED = record(
    "what was asked of a run: run, by, at", run=is_text, by=is_text, at=_is_time, workers_=is_whole,
    perSecond_=is_number, nice_=is_number,
)  # fmt: skip
LINE = record(
    "how far a subject is", subject=is_text, unit=is_text, done=is_whole, total=_or_null(is_whole),
    estimated=_is_yes_or_no, worked=is_whole, active=is_number,
)  # fmt: skip
PROGRESS = record(
    "how far a run is: at, work, sums, lines", at=_is_time, work=is_text, documents=is_whole, events=is_whole,
    entries=is_whole, rejects=is_whole, active=is_number, held=_is_seconds, workers=is_whole,
    perSecond=_or_null(is_number), lines=lambda value: is_list(value) and all(map(LINE.test, value)),
)  # fmt: skip
PASS = record(
    "a pass: number, scope, spans with bounds, done, next", number=is_whole, scope=is_object, spans=_is_spans,
    done=_is_yes_or_no, next=_or_null(_is_time), full_=_is_yes_or_no, everyone_=_is_yes_or_no, anew_=_is_yes_or_no,
    documents_=is_whole, estimated_=_is_yes_or_no, rules_=_is_rules, doubt_=is_text, began_=_is_time, start_=_is_time,
    ends_=is_list,
)  # fmt: skip
