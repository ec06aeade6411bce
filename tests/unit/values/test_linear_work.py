"""Whatever text stands where a number, a time, an id or a name belongs: reading it costs as much as its length.

Each reader is given every shape twice, once twice as long, and may take no more than a few times as long for that. A
pattern that reads a character again and again would take hours at this length; a watchdog on this process's own time
ends that. What is compared is processor time, with room for noise, so that a busy machine fails nothing.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import Binary, Code, Int64, ObjectId, Regex
from pydantic import TypeAdapter, ValidationError

from lbmigrate.board.profiles import snapshot
from lbmigrate.board.visibility import opted_out
from lbmigrate.config import types
from lbmigrate.config.model import Let, Source
from lbmigrate.config.users import OptOut, Users
from lbmigrate.errors import LbmigrateError
from lbmigrate.rules import periods, scoring
from lbmigrate.rules.adjustments import base_id
from lbmigrate.rules.event import live_event
from lbmigrate.rules.variables import evaluate_let
from lbmigrate.values import coerce, columns, excerpts, extjson, formula, ids, paths
from tests.apps import NEW_YEAR

pytestmark = pytest.mark.sampled

LENGTH = 1_000_000
UTC = ZoneInfo("UTC")
NOISE = 0.25  # seconds
PATIENCE = 30.0  # seconds

SHAPES: dict[str, Callable[[int], str]] = {
    "digits and a letter": lambda n: "1" * n + "x",
    "digits": lambda n: "1" * n,
    "digits, a point and a letter": lambda n: "1" * (n // 2) + "." + "1" * (n // 2) + "x",
    "an exponent": lambda n: "1e" + "1" * n + "x",
    "points": lambda n: "." * n,
    "signs": lambda n: "+-" * (n // 2),
    "blanks and a digit": lambda n: " " * n + "1",
    "a digit, blanks and a letter": lambda n: "1" + " " * n + "x",
    "a date and blanks": lambda n: "2025-01-01 " + " " * n,
    "a date and digits": lambda n: "2025-01-01T00:00:00." + "1" * n,
    "a date and lines": lambda n: "2025-01-01T" + "\n" * n,
    "eight digits and a T": lambda n: "20250101T" + "0" * n,
    "hexadecimal": lambda n: "a" * n,
    "almost a UUID": lambda n: "01234567-0123-0123-0123-" + "0" * n,
    "minus and digits": lambda n: "-" + "9" * n,
    "at signs": lambda n: "a@" * (n // 2),
    "an address without an end": lambda n: "a@" + "b" * n,
    "an address of points": lambda n: "a@" + "." * n + " ",
    "addresses without a point": lambda n: "a@b " * (n // 4),
    "many addresses": lambda n: "a@b." * (n // 4),
    "a dotted path": lambda n: "a." * (n // 2),
    "indexes": lambda n: "0." * (n // 2) + "0",
    "a function": lambda n: "a." * (n // 2) + "b:c:",
    "a long function": lambda n: "a" * n + ":" + "b",
    "a sum": lambda n: "1+" * (n // 2) + "1",
    "brackets": lambda n: "(" * n,
    "names": lambda n: "a " * (n // 2),
    "years": lambda n: "2025-W" * (n // 6),
    "truth": lambda n: "true" + " " * n,
    "hashes": lambda n: "#1" * (n // 2),
    "a duration": lambda n: "1" * n + " " * n + "m!",
    "NULs": lambda n: "\0" * n,
    "wide letters": lambda n: "\N{GRINNING FACE}" * n,
    "digits of another script": lambda n: "\N{ARABIC-INDIC DIGIT ONE}" * n,
}

USERS = Users(display_name=["name"], avatar=["avatar"], opt_out=OptOut(path="hidden", missing=False))
LETS = [
    Let.model_validate({"path": "a", "unit": "seconds", "to": "minutes"}),
    Let.model_validate({"between": ["a", "a"], "to": "minutes"}),
    Let.model_validate({"path": "a", "map": {"x": 1}}),
]
SOURCE = Source.model_validate(
    {
        "name": "tasks", "collection": "tasks", "action": "done", "user": {"path": "a", "as": "objectId"},
        "at": ["a", "b"], "let": {"n": {"path": "a"}}, "points": "n", "meta": {"a": "a"},
    }
)  # fmt: skip


def checked(kind: Any) -> Callable[[Any], Any]:
    adapter = TypeAdapter(kind)

    def check(text: Any) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError:
            return None

    return check


def live(text: str) -> Any:
    try:
        return live_event(SOURCE, text, text, text, text, {"a": text})  # type: ignore[arg-type]  # as an app might
    except LbmigrateError:
        return None


READERS: dict[str, Callable[[str], Any]] = {
    "as_number": coerce.as_number,
    "numbers": lambda text: columns.numbers([text, 1]),
    "as_time": lambda text: coerce.as_time(text, UTC),
    "times": lambda text: columns.times([text, 1], UTC),
    "excerpt": excerpts.excerpt,
    "id_type": ids.id_type,
    "coerce_id": lambda text: (ids.coerce_id(text, "objectId"), ids.coerce_id(text, "string")),
    "coerce_ids": lambda text: ids.coerce_ids([text, 1], "objectId"),
    "parse_id": ids.parse_id,
    "id_forms": ids.id_forms,
    "folded_id": ids.folded_id,
    "pluck": lambda text: paths.pluck([{"a": [text]}], ["a.0", "a.b", "a.00000000000"]),
    "evaluate_let": lambda text: [evaluate_let("n", let, {"a": [text]}, UTC) for let in LETS],
    "score": lambda text: scoring.score([{"_id": text, "a": text, "b": text}], SOURCE, "UTC"),
    "live_event": live,
    "base_id": lambda text: base_id(
        {
            "_id": f"done:{text}",
            "actionType": "done",
            "sourceId": "",
            "points": Int64(1),
            "createdAt": NEW_YEAR,
            "meta": {},
        }
    ),
    "kind_of": periods.kind_of,
    "snapshot": lambda text: snapshot(USERS, {"name": text, "avatar": text, "hidden": text}),
    "opted_out": lambda text: opted_out(USERS.opt_out, text),
    "formula": lambda text: formula.check(text, ["n"]),
    "is_function": formula.is_function,
    "a field path": checked(types.Path),
    "a collection": checked(types.Collection),
    "a database": checked(types.DatabaseName),
    "a word": checked(types.Word),
    "an action": checked(types.Action),
    "a variable": checked(types.Variable),
    "a time zone": checked(types.Zone),
    "a unit": checked(types.UnitName),
    "a period": checked(types.Periods),
    "points": checked(types.Points),
    "a value of a map": checked(types.Value),
    "a length of time": checked(types.Duration),
}


@pytest.fixture(autouse=True)
def _no_endless_work() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the work grows faster than the text")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def taken(work: Callable[[str], Any], text: str) -> float:
    """Seconds of processor time, the shorter of two goes."""
    goes = []
    for _ in range(2):
        before = time.thread_time()
        work(text)
        goes.append(time.thread_time() - before)
    return min(goes)


@pytest.mark.parametrize("reader", READERS)
def test_a_text_is_read_in_time_that_grows_with_its_length(reader: str) -> None:
    for shape, make in SHAPES.items():
        short, long = (taken(READERS[reader], make(length)) for length in (LENGTH // 2, LENGTH))
        assert long < 4 * short + NOISE, shape


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": [value, value]} if levels < 15 else {"a": value}
    return value


LARGE = {
    "a long list": [1] * LENGTH,
    "a wide document": {str(number): number for number in range(LENGTH // 4)},
    "a bushy document": nested(14),
    "a deep document": nested(180),
    "binary data": Binary(b"\xff" * LENGTH, 5),
    "code": Code("x" * LENGTH),
    "an expression": Regex("x" * LENGTH),
    "an int beyond all": 10**5000,
    "ids": [ObjectId()] * LENGTH,
}


@pytest.mark.parametrize("name", LARGE)
def test_what_a_message_says_of_a_value_costs_nothing_whatever_its_size(name: str) -> None:
    assert len(excerpts.excerpt(LARGE[name])) < 80
    assert taken(excerpts.excerpt, LARGE[name]) < NOISE
    assert coerce.as_time(LARGE[name], UTC) is None or name == "an int beyond all"


@pytest.mark.slow
def test_a_line_of_an_exported_file_is_read_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    def read(text: str) -> None:
        for name in ("a.ndjson", "a.json"):
            (tmp_path / name).write_text(text)
            try:
                list(extjson.read(tmp_path / name))
            except LbmigrateError:
                continue

    shapes: list[Callable[[int], str]] = [
        lambda n: '{"a": "%s"}' % ("x" * n),
        lambda n: '{"a": 1' + " " * n,
        lambda n: '{"a":1}' * (n // 7),
        lambda n: '{"a":1}\n' * (n // 8),
        lambda n: "[" * n,
        lambda n: '{"a": %s}' % ("1" * n),
        lambda n: '{"a": {"$date": "%sZ"}}' % ("1" * n),
        lambda n: '{"a": {"$numberDecimal": "%s"}}' % ("1" * n),
    ]
    for number, make in enumerate(shapes):
        short, long = (taken(read, make(length)) for length in (LENGTH // 4, LENGTH // 2))
        assert long < 4 * short + NOISE, number
