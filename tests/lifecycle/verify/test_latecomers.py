"""A first run passes its own verification while the app goes on writing, whatever its documents' ids and times are."""

from __future__ import annotations

import itertools
import uuid

import pytest

from lbmigrate.backfill import latecomers
from lbmigrate.errors import Mismatch
from lbmigrate.ledger.emitted import Emitted
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS, s4_backfill, s5_verify
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema import EVENTS
from tests.apps import TASKS, App, config, oid, pieces, task, user

EVERYONE = VerifyOptions(full=True)
UNTIMED = {key: value for key, value in TASKS.items() if key != "updated"}
DATED = {  # hours after the new year; the history spans 9 × 23
    "long before the history": -9_000,
    "in its middle": 100,
    "a little before its end": 205,
    "after it": 300,
}
IDS = {
    "behind all others": (lambda number: oid(10_000 + number), lambda number: oid(1000 + number)),
    "before all others": (lambda number: oid(500 - number), lambda number: oid(1000 + number)),
    "between the others": (lambda number: oid(1000 + 2 * number + 1), lambda number: oid(1000 + 2 * number)),
    "of another type": (lambda number: number, lambda number: oid(1000 + number)),
    "random texts": (lambda n: uuid.uuid5(uuid.NAMESPACE_OID, f"late {n}").hex, lambda n: uuid.UUID(int=n << 120).hex),
}


def made(database, source, ids, **parts) -> App:
    database["users"].insert_many([user(number) for number in range(1, 5)])
    database["tasks"].insert_many([task(n, owner=1 + n % 4, _id=ids(n)) for n in range(24)])
    database["tasks"].create_index("completedAt")
    database["tasks"].create_index("updatedAt")
    return App(database, config(source, **parts))


def written_meanwhile(app: App, new, hours: float) -> None:
    """The six steps; with every piece of the backfill and of the verification the app inserts a finished task."""
    numbers = itertools.count()

    def write(report) -> None:
        if report.event == "piece" and report.work.number in (4, 5):
            n = next(numbers)
            app.database["tasks"].insert_one(task(n, owner=1 + n % 4, hours=hours + n / 1000, _id=new(n)))

    Driver(app.context(), listen=write).apply(STEPS)


def without_event(app: App) -> list:
    has = {event["sourceId"] for event in app.events()}
    return [row["_id"] for row in app.database["tasks"].find({"status": "done"}) if row["_id"] not in has]


def cases():
    """Every kind of source with every time and every sort of ids; the quick ones are without `updated`."""
    for source, hours, ids, level in itertools.product(("updated", "no updated"), DATED, IDS, ("sample", "full")):
        quick = source == "no updated" and level == "sample" and hours == "in its middle"
        marks = () if quick else pytest.mark.slow
        yield pytest.param(source, hours, ids, level, marks=marks)


@pytest.mark.sampled
@pytest.mark.parametrize(("source", "hours", "ids", "level"), list(cases()))
def test_a_first_run_passes_while_the_app_writes(database, source, hours, ids, level):
    new, old = IDS[ids]
    app = made(database, TASKS if source == "updated" else UNTIMED, old, verify={"level": level})
    written_meanwhile(app, new, DATED[hours])
    assert app.state.get("verdict")["passed"]
    assert app.database["feature_flags"].find_one()["read"]
    app.backfill()
    if ids == "behind all others" or hours == "after it":
        assert without_event(app) == []
    app.recount()
    assert without_event(app) == []
    app.apply([s5_verify], verify=EVERYONE)
    assert app.state.get("verdict")["passed"]


# --- what is taken, and what is not ------------------------------------------------------------------------------

BEFORE, BETWEEN = IDS["before all others"], IDS["between the others"]


def late(app: App, new, number: int = 1, **fields) -> None:
    app.database["tasks"].insert_one(task(number, hours=100.5, _id=new(number), **fields))


def test_what_came_in_behind_the_ids_waits_for_the_next_backfill_whatever_its_time(database):
    new, old = IDS["behind all others"]
    app = made(database, UNTIMED, old)
    app.apply()
    late(app, new)
    app.apply([s5_verify], verify=EVERYONE)
    assert app.state.get("verdict")["pending"] == 1
    assert app.backfill().emitted == 1
    assert without_event(app) == []
    app.apply([s5_verify], verify=EVERYONE)
    assert app.state.get("verdict")["pending"] == 0
    app.database[EVENTS].delete_one({"sourceId": new(1)})
    with pytest.raises(Mismatch):
        app.apply([s5_verify], verify=EVERYONE)


def test_an_idle_backfill_reads_nothing_behind_the_ids_twice(database):
    new, old = IDS["behind all others"]
    app = made(database, UNTIMED, old)
    app.backfill()
    late(app, new)
    first, second = app.backfill(), app.backfill()
    assert (first.emitted, first.read - second.read) == (1, 1)


def test_a_verification_by_itself_takes_nothing_in(database):
    new, old = BETWEEN
    app = made(database, UNTIMED, old)
    app.apply(STEPS[:4])
    late(app, new)
    with pytest.raises(Mismatch, match="in scope"):
        app.apply([s5_verify], verify=EVERYONE)
    assert without_event(app) == [new(1)]


def test_a_run_takes_nothing_in_where_its_sources_were_verified_before(database):
    new, old = BETWEEN
    app = made(database, UNTIMED, old, verify={"level": "full"})
    app.apply()
    late(app, new)
    app.database["tasks"].insert_one(task(500))
    app.backfill()
    with pytest.raises(Mismatch, match="in scope"):
        app.apply(STEPS)


def test_what_a_run_has_taken_in_and_still_has_no_event_is_wrong(database, monkeypatch):
    new, old = BETWEEN
    app = made(database, UNTIMED, old, verify={"level": "full"})
    app.apply(STEPS[:4])
    late(app, new)
    monkeypatch.setattr(latecomers.isolate, "emit_listed", lambda *_: Emitted())
    with pytest.raises(Mismatch, match="in scope"):
        app.apply(STEPS)
    assert not app.state.get("verdict")["passed"]


@pytest.mark.parametrize("level", ["sample", "full"])
def test_what_came_in_is_told_and_a_repeated_run_after_a_failed_one_takes_it(database, level):
    new, old = BEFORE
    app = made(database, UNTIMED, old, verify={"level": level})
    app.apply(STEPS[:4])
    for number in range(6):
        late(app, new, number, owner=1 + number % 4)
    told = [piece.warning for piece in pieces(s5_verify, app.context()) if "came in while" in piece.warning]
    assert len(told) == 1
    assert without_event(app) == []
    app.apply()
    assert app.database["feature_flags"].find_one()["read"]
    assert app.entries() == rebuilt(app)


def rebuilt(app: App) -> dict:
    """The entries, after everything was read and computed once more: a settled board stays as it is."""
    app.apply([s4_backfill], scope=Scope(full=True))
    return app.entries()
