"""The verbs that steer a run from another terminal: pause, resume, tune, unlock."""

from __future__ import annotations

import math

from lbmigrate.checks import rights
from lbmigrate.config.model import Config
from lbmigrate.errors import UsageError
from lbmigrate.ledger import binding
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.records import Document, amount
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import utc_now
from lbmigrate.state import lease
from lbmigrate.state.operator import operator

NOT_NOW = "for later runs set throttle.documents_per_second and backfill.workers in the configuration"


def pause(where: Config | Connection) -> Document:
    """Hold the run after the chunk at hand, and every later one, until `resume`; the row that says so."""
    with opened(where) as connection:
        rights.check(connection.context(), "pause")
        binding.refuse_foreign(connection.context())
        if connection.is_untouched():
            nothing = f"nothing ever ran in {connection.target.name}, so there is nothing to pause"
            raise UsageError(nothing, "lbmigrate plan")
        connection.state.note("control", paused={"by": operator(), "at": utc_now()})
        return connection.state.get("control")


def resume(where: Config | Connection) -> bool:
    """Let the run go on; whether anything was paused."""
    with opened(where) as connection:
        rights.check(connection.context(), "resume")
        binding.refuse_foreign(connection.context())
        paused = bool(connection.state.get("control").get("paused"))
        said = {"_id": "control", "paused": {"$ne": None}}  # also what says nothing, since somebody damaged it
        if retrying(lambda: connection.state.rows.find_one(said, {"_id": 1})):
            connection.state.note("control", paused=None)
        return paused


def tune(
    where: Config | Connection,
    *,
    per_second: float | None = None,
    workers: int | None = None,
    nice: float | None = None,
    reset: bool = False,
) -> Document:
    """Change how hard the run that is going on presses, from its next chunk on; the row that says so.

    `per_second` are documents, 0 without limit; what is not named stays as it was tuned before. With `reset` the
    configuration decides again. It holds for this run alone. Raises UsageError where no run is going on.
    """
    if per_second is not None and not math.isfinite(per_second):
        raise UsageError(f"{amount(per_second, 'document')} a second is no number to go by", "0 is without limit")
    asked = {"perSecond": per_second, "workers": workers, "nice": nice}
    with opened(where) as connection:
        rights.check(connection.context(), "tune")
        binding.refuse_foreign(connection.context())
        lock = connection.state.get(lease.LOCK)
        if not lock.get("run") or not lease.is_held(lock, server_time(connection.state.rows.database)):
            raise UsageError("no run is going on that could be tuned", NOT_NOW)
        before = connection.state.get("control").get("tuned") or {}
        kept = (
            {} if reset or before.get("run") != lock["run"] else {name: before[name] for name in asked.keys() & before}
        )
        given = {name: value for name, value in asked.items() if value is not None}
        who = {"run": lock["run"], "by": operator(), "at": utc_now()}
        connection.state.note("control", tuned={**kept, **given, **who})
        return connection.state.get("control")


def unlock(where: Config | Connection) -> Document:
    """Take the lock from whoever holds it, without asking; the row as it was, without a holder where nobody did."""
    with opened(where) as connection:
        rights.check(connection.context(), "unlock")
        binding.refuse_foreign(connection.context())
        held = connection.state.get(lease.LOCK)
        if lease.is_taken(held, server_time(connection.state.rows.database)):
            lease.break_open(connection.state)
        return held
