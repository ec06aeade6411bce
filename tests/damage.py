"""One field of one row of the state damaged at a time, and every verb after it."""

from __future__ import annotations

import copy
import datetime as dt
import io
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, Regex, Timestamp

from lbmigrate import commands
from lbmigrate.checks import server
from lbmigrate.checks.finding import Finding
from lbmigrate.console import Console
from lbmigrate.errors import LbmigrateError
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.connection import Connection, connection
from lbmigrate.state import COLLECTION
from tests.apps import USERS, App, config, oid, stopped_after, task, user

AT = dt.datetime(2025, 3, 1, 12)
MISSING = object()
EVERY_VALUE: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "bool": True,
    "int": 5,
    "negative": -1,
    "long": Int64(2**62),
    "double": 1.5,
    "nan": float("nan"),
    "infinity": float("inf"),
    "decimal": Decimal128("1.5"),
    "empty": "",
    "text": "zzz",
    "time": AT,
    "year-57805": DatetimeMS(1_762_000_000_000_000),
    "object-id": oid(77),
    "uuid": uuid.UUID(int=7),
    "binary": Binary(b"\0\1", 0),
    "regex": Regex(".*"),
    "code": Code("function(){}"),
    "timestamp": Timestamp(1, 1),
    "min-key": MinKey(),
    "max-key": MaxKey(),
    "array": [1, "a"],
    "no-array": [],
    "array-of-objects": [{"a": 1}],
    "object": {"a": 1},
    "no-object": {},
}
EXIT_CODES = {0, 3, 4, 5, 6}
RAW = ("Traceback", "KeyError", "TypeError", "ValueError", "AttributeError", "object has no", "unexpected")


def begun(database: Any) -> App:
    """An app whose first backfill ended half-way: chunks emitted and claimed, a pass that is open."""
    app = App(database, config(users={**USERS, "updated": "updatedAt"}))
    database["users"].insert_many([user(number, updatedAt=AT) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    app.apply(STEPS[:3])
    stopped_after(s4_backfill, app.context(), 6, saved=True)
    return app


def done(database: Any) -> App:
    """An app that is migrated, reconciled, and left by one of its users; its tail was stopped."""
    app = begun(database)
    app.apply()
    app.forget(str(oid(3)))
    app.reconcile()
    app.state.note(
        "tail", token={"_data": "82"}, reached=AT, at=AT, lag=0.5, changes=1, events=1, deletes=0, held=None,
        missed={"since": None, "full": False, "passes": {"tasks": 1}},
    )  # fmt: skip
    app.state.note("control", paused=None)
    app.state.note("backup", how="reference", ref="x", by="ann", at=AT, digest="", made=["x"])
    app.state.note("odd", count=0)
    app.state.note("boards", stale=False, since=AT, why="no", failure="x", rebuiltAt=AT)
    app.state.note(
        "run:abc", verb="run", options={"command": "lbmigrate run"}, startedAt=AT, endedAt=AT, by="ann",
        outcome="failed", error="no", held=None, heldSince=AT,
    )  # fmt: skip
    app.state.rows.insert_one({
        "_id": "lock", "kind": "lock", "layout": 1, "fence": 1, "run": None, "holder": None, "renewedAt": AT,
        "expiresAt": AT,
    })  # fmt: skip
    return app


class Place:
    """An app that was made ready once, and is there again as it was whenever it is asked for."""

    def __init__(self, client: Any, name: str, make: Callable[[Any], App]) -> None:
        self._client, self._database = client, client[name]
        app = make(self._database)
        self._documents = {each: list(self._database[each].find()) for each in self._database.list_collection_names()}
        settings = app.config.database.model_copy(update={"name": name})
        self._config = app.config.model_copy(update={"database": settings})

    def restored(self) -> Connection:
        for name, rows in self._documents.items():
            self._database[name].delete_many({})
            if rows:
                self._database[name].insert_many(copy.deepcopy(rows))
        return connection(self._client, self._config)

    def rows(self) -> list[Any]:
        """One row of each kind, of chunks one with each status, and the steps that keep the most."""
        found = {}
        for row in self._documents[COLLECTION]:
            kind = row["_id"].partition(":")[0]
            of_its_own = kind in ("watermark", "forgotten") or row["_id"] in ("step:3", "step:4")
            found.setdefault(row["_id"] if of_its_own else (kind, kind == "chunk" and row["status"]), row)
        return list(found.values())


# --- what is typed --------------------------------------------------------------------------------------------------


def show(look: Callable[[Console], None]) -> str:
    out, err = io.StringIO(), io.StringIO()
    for as_json in (False, True):
        look(Console(as_json=as_json, stdout=out, stderr=err))
    return out.getvalue() + err.getvalue()


def more(connection: Connection) -> list[Finding]:
    """What doctor says of a server, and in memory has no reason to."""
    here = connection.context()
    return [*server._runs(here), *server._leftovers(here)] if is_fake(connection.target) else []


LOOKS: dict[str, Callable[[Connection, Console], None]] = {
    "status": lambda c, console: console.status(commands.status(c)),
    "plan": lambda c, console: console.plan(commands.plan(c)),
    "history": lambda c, console: console.history(commands.history(c)),
    "doctor": lambda c, console: console.findings([*commands.doctor(c), *more(c)]),
    "rollback --dry-run": lambda c, console: console.result({"steps": [str(commands.preview_rollback(c))]}),
    "reconcile --dry-run": lambda c, console: console.result({"due": str(commands.preview_reconcile(c))}),
}
WORK_DONE: dict[str, Callable[[Connection], Any]] = {
    "backfill": commands.backfill,
    "run": lambda c: commands.run(c, no_backup=True, confirmed=True),
    "reconcile": commands.reconcile,
    "verify": commands.verify,
    "backfill again": commands.backfill,
}


def typed(act: Callable[[], Any]) -> tuple[int, str]:
    """How a verb ends, and what it says."""
    try:
        return 0, str(act() or "")
    except LbmigrateError as error:
        return error.exit_code, f"{error.message}\n{error.hint}"
    except Exception as error:  # what the door would call unexpected
        return 1, f"unexpected {type(error).__name__}: {error}"


FieldPath = tuple[str | int, ...]  # names and places one by one, for a name may have a dot


def fields(row: dict[str, Any], prefix: FieldPath = ()) -> list[FieldPath]:
    """Every field of a row, those within objects and their first elements too."""
    found: list[FieldPath] = []
    for name, value in row.items():
        path = (*prefix, name)
        if path in (("_id",), ("layout",)):
            continue
        found.append(path)
        if isinstance(value, dict):
            found += fields(value, path)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            found += fields(value[0], (*path, 0))
    return found


def damage(connection: Connection, row: Any, path: FieldPath, value: Any) -> None:
    rows = connection.target[COLLECTION]
    document = rows.find_one({"_id": row})
    *heads, last = path
    inner: Any = document
    for head in heads:
        inner = inner[head]
    if value is MISSING:
        inner.pop(last)
    else:
        inner[last] = value
    rows.delete_one({"_id": row})
    rows.insert_one(document)


def scores(connection: Connection) -> dict[Any, int]:
    found = connection.target["leaderboard_entries"].find({"period": "global"})
    return {row["userId"]: row["score"] for row in found}


def walk(
    place: Place, kind: str, values: Callable[[str], dict[str, Any]], looks: Sequence[str], verbs: Sequence[str]
) -> list[str]:
    """What goes wrong wherever one field of a row of a kind holds one of the values that are chosen for it."""
    wrong: list[str] = []
    for row in place.rows():
        for path in fields(row) if row["_id"].partition(":")[0] == kind else ():
            place_in_row = f"{row['_id']} {'.'.join(map(str, path))}"
            for name, value in values(place_in_row).items():
                connection = place.restored()
                damage(connection, row["_id"], path, value)
                wrong += [f"{place_in_row} {name}: {each}" for each in ends_badly(connection, looks, verbs)]
    return wrong


def ends_badly(connection: Connection, looks: Sequence[str], verbs: Sequence[str]) -> list[str]:
    wrong = []
    for verb in looks:
        look = LOOKS[verb]
        wrong += judged(verb, *typed(lambda look=look: show(lambda console: look(connection, console))))
    for verb in verbs:
        work = WORK_DONE[verb]
        code, said = typed(lambda work=work: work(connection))
        wrong += judged(verb, code, said)
        if code == 4 and "unlock" in said:
            commands.unlock(connection)
            code, said = typed(lambda work=work: work(connection))
        if code and not (code == 6 and "has no salt" in said and "deleteMany" in said):
            wrong.append(f"{verb} exits {code}: {said}")
    if scores(connection) != {oid(1): 60, oid(2): 60}:
        wrong.append(f"scores are {scores(connection)}")
    if left := [
        flaw
        for flaw in connection.state.examine(everything=True)
        if flaw.row != "forgotten:salt" and "nothing depends on it" not in str(flaw)
    ]:
        wrong.append(f"it is not put right: {left[0]}")
    return wrong


def judged(verb: str, code: int, said: str) -> list[str]:
    raw = [word for word in RAW if word in said]
    return [f"{verb} exits {code} and says {raw}: {said[:300]}"] if code not in EXIT_CODES or raw else []
