"""The verbs that steer a run from another terminal: pause, resume, unlock."""

from __future__ import annotations

from lbmigrate.checks import rights
from lbmigrate.config.model import Config
from lbmigrate.errors import UsageError
from lbmigrate.ledger import binding
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.records import Document
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import utc_now
from lbmigrate.state import lease
from lbmigrate.state.operator import operator


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


def unlock(where: Config | Connection) -> Document:
    """Take the lock from whoever holds it, without asking; the row as it was, without a holder where nobody did."""
    with opened(where) as connection:
        rights.check(connection.context(), "unlock")
        binding.refuse_foreign(connection.context())
        held = connection.state.get(lease.LOCK)
        if lease.is_taken(held, server_time(connection.state.rows.database)):
            lease.break_open(connection.state)
        return held
