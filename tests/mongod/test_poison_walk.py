"""The poison walk: one odd value in one place among a hundred good documents, and every verb after it.

The small form walks a few of the worst pairs. LBMIGRATE_POISON=all walks every value through every place, which takes
about an hour; LBMIGRATE_POISON=<part of a name> those whose `place-value` contains it. See CONTRIBUTING.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, Regex, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from lbmigrate import feature_flag
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from tests.apps import NEW_YEAR, TASKS, oid, task, user
from tests.terminal import Terminal

WANTED = os.environ.get("LBMIGRATE_POISON", "")
USERS, TASKS_EACH = 10, 10
BAD_USER, BAD_TASK = oid(11), oid(999_999)
NOT_UTF8 = "?????"  # what becomes bytes that are no UTF-8
MOST_MB = 200  # beyond what the process held before: one of its own that has done nothing yet holds some 90
SLOWEST = 60.0  # seconds for a verb on a busy machine; none of them needs two on an idle one


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


VALUES: dict[str, Any] = {
    "null": None,
    "bool": True,
    "int": 5,
    "least-long": Int64(-(2**63)),
    "most-long": Int64(2**63 - 1),
    "double": 1.5,
    "nan": float("nan"),
    "infinity": float("-inf"),
    "decimal-nan": Decimal128("NaN"),
    "no-text": "",
    "text": "tomorrow",
    "not-utf8": NOT_UTF8,
    "nul-text": "a\0b\x1b[31m",
    "6MB": "x" * 6_000_000,
    "year-1": dt.datetime(1, 1, 1),
    "year-57805": DatetimeMS(1_762_000_000_000_000),
    "year-275760": DatetimeMS(8_640_000_000_000_000),
    "object-id": oid(77),
    "uuid": uuid.UUID(int=7),
    "binary": Binary(b"\0\1", 0),
    "regex": Regex(".*"),
    "code": Code("function(){}"),
    "timestamp": Timestamp(1, 1),
    "min-key": MinKey(),
    "max-key": MaxKey(),
    "array": [1, "a"],
    "array-of-the-right": [oid(1)],
    "object": {"a": 1},
    "dollar": {"$gt": ""},
    "dots": {"a.b": 1},
    "60-levels": deep(60),
    "170-levels": deep(170),
    "500000-elements": [Int64(7)] * 500_000,
}
PLACES = (
    *(f"tasks.{name}" for name in ("_id", "userId", "completedAt", "updatedAt", "priority", "minutes")),
    *(f"users.{name}" for name in ("_id", "name", "avatar", "hidden")),
    *(f"{EVENTS}.{name}" for name in ("userId", "points", "createdAt", "meta", "sourceId", "actionType")),
    *(f"{ENTRIES}.{name}" for name in ("userId", "period", "score", "events", "rev", "displayNameSnapshot")),
    "feature_flags.write",
)
SMALL = (
    ("tasks.priority", "170-levels"), ("tasks.priority", "not-utf8"), ("tasks._id", "6MB"), ("tasks.userId", "text"),
    ("users.name", "not-utf8"), ("users.avatar", "6MB"), (f"{EVENTS}.createdAt", "year-275760"),
    (f"{EVENTS}.userId", "text"), (f"{EVENTS}.points", "array"), (f"{EVENTS}.sourceId", "dollar"),
)  # fmt: skip
EVERY = tuple((place, value) for place in PLACES for value in VALUES)
PAIRS = [pair for pair in EVERY if WANTED in ("all", "-".join(pair)) or WANTED in "-".join(pair)] if WANTED else SMALL


@pytest.fixture
def app(database: Database[Any], terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Database[Any]:
    """Ten users with ten tasks each, half a year ago; no app that a rollback has to wait for."""
    monkeypatch.setattr(feature_flag, "TAKES_EFFECT", 0.0)
    lets = {"let": {"minutes": {"path": "minutes", "unit": "minutes", "to": "minutes", "missing": 0}}}
    terminal.configure(
        {**TASKS, **lets, "points": "10 + 0 * minutes", "points_range": [0, 100]},
        backfill={"chunk_size": 25, "workers": 2, "target": None, "failing_share": 1.0},
    )
    database["tasks"].create_index("updatedAt")
    database["users"].insert_many([user(number) for number in range(1, USERS + 1)])
    tasks = [task(number, owner=1 + number % USERS, minutes=5) for number in range(USERS * TASKS_EACH)]
    database["tasks"].insert_many(tasks)
    return database


def poison(app: Database[Any], place: str, value: Any) -> None:
    """Insert the odd document past every validator. Skips what the server itself does not take."""
    collection, _, name = place.partition(".")
    at = NEW_YEAR + dt.timedelta(days=3)
    usual: dict[str, dict[str, Any]] = {
        "tasks": {**task(500), "_id": BAD_TASK, "userId": BAD_USER, "minutes": 5},
        "users": user(11),
        EVENTS: {
            "_id": f"task_complete:{BAD_TASK}",
            "userId": BAD_USER,
            "actionType": "task_complete",
            "points": Int64(10),
            "sourceId": BAD_TASK,
            "meta": {"origin": "live"},
            "createdAt": at,
        },
        ENTRIES: {
            "_id": f"global:{BAD_USER}", "userId": BAD_USER, "period": "global", "score": Int64(5), "streak": 1,
            "events": Int64(1), "rev": Int64(1), "lastEventAt": at, "optOutSnapshot": False,
            "displayNameSnapshot": "x", "avatarSnapshot": None,
        },
        "feature_flags": {"_id": "leaderboard", "read": False},
    }  # fmt: skip
    document = {**usual[collection], name: value}
    raw = RawBSONDocument(
        bson.encode(document, codec_options=STANDARD).replace(NOT_UTF8.encode(), b"\xff\xfe\xfd\xfc\xfb")
    )
    written = app.get_collection(collection, write_concern=WriteConcern("majority"))
    try:
        if collection == "feature_flags":
            written.delete_many({})
        if document["_id"] == BAD_TASK and collection == EVENTS:
            app["tasks"].insert_one({**usual["tasks"]})
        written.insert_one(raw, bypass_document_validation=True)  # type: ignore[arg-type]
    except PyMongoError as error:
        pytest.skip(f"no server has it: {str(error)[:120]}")


STANDARD = bson.codec_options.CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)
LOOKS = (["doctor"], ["plan"], ["status"], ["rejects"], ["top"])
WORK = (["run", "--yes"], ["backfill"], ["backfill", "--full"], ["verify", "--full"], ["reconcile"])
CODES = {0, 3, 5, 6}  # of the table: what no document may bring about is 1 (failed) and 2 (usage)


def typed(terminal: Terminal, words: list[str]) -> list[str]:
    """Type a verb; what is wrong with how it ended."""
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is that of this verb
    before, began = peak_mb(), time.monotonic()
    ended = terminal(*words)
    took, mb = time.monotonic() - began, peak_mb() - before
    wrong = [f"{' '.join(words)} takes {mb} MB more"] if mb > MOST_MB else []
    if ended.code not in CODES or "unexpected" in ended.err or "Traceback" in ended.err:
        wrong.append(f"{' '.join(words)} exits {ended.code}: {ended.err.strip()[-400:]}")
    if took > SLOWEST:
        wrong.append(f"{' '.join(words)} took {took:.0f} s")
    return wrong


def peak_mb() -> int:
    """The most memory that this process had since its peak was last forgotten; pytest's own is in it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def scores(app: Database[Any]) -> dict[Any, int]:
    """What the good users have altogether."""
    wanted = {"userId": {"$in": [oid(number) for number in range(1, USERS + 1)]}, "period": "global"}
    rows = app.get_collection(ENTRIES).find(wanted, {"userId": 1, "score": 1, "_id": 0})
    return {row["userId"]: row["score"] for row in rows if isinstance(row["userId"], bson.ObjectId)}


def accounted_for(app: Database[Any]) -> bool:
    """Whether the bad task is an event or a reject, or was never one that the source means."""
    return any(app[name].count_documents({}) for name in (REJECTS,)) or app[EVENTS].count_documents({}) > 100


@pytest.mark.slow
@pytest.mark.parametrize(("place", "name"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_one_odd_value_stops_nobody_else(app: Database[Any], terminal: Terminal, place: str, name: str) -> None:
    later = place.split(".", maxsplit=1)[0] in (EVENTS, ENTRIES, "feature_flags")
    wrong = typed(terminal, ["run", "--yes"]) if later else []
    poison(app, place, VALUES[name])
    for words in (*LOOKS, *WORK, *LOOKS):
        wrong += typed(terminal, words)
    good = {oid(number): 10 * TASKS_EACH for number in range(1, USERS + 1)}
    if scores(app) != good:
        wrong.append(f"the good ones have {scores(app)}")
    if place.startswith("tasks.") and not accounted_for(app):
        wrong.append("the odd task is no event and no reject")
    wrong += typed(terminal, ["rollback", "--yes"])
    assert wrong == []
