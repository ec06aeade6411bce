"""The verbs that steer a run from another terminal: pause, resume, unlock."""

from __future__ import annotations

import sys

import typer

from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.errors import Refused, UsageError
from lbmigrate.run.context import utc_now
from lbmigrate.state import lease
from lbmigrate.state.operator import operator

app = typer.Typer()


@verb(app)
def pause(desk: Desk) -> None:
    """Hold the run after the chunk at hand, and every later one, until `resume`."""
    with desk.connected() as session:
        if session.is_virgin():
            raise UsageError(
                f"nothing ever ran in {session.target.name}, so there is nothing to pause", "lbmigrate plan"
            )
        session.state.control(paused={"by": operator(), "at": utc_now()})
        desk.console.note("paused; a run holds within one chunk. next: lbmigrate resume")
        desk.console.result({"verb": "pause", "control": session.state.get("control")})


@verb(app)
def resume(desk: Desk) -> None:
    """Let the run go on."""
    with desk.connected() as session:
        paused = bool(session.state.get("control").get("paused"))
        if paused:
            session.state.control(paused=None)
        desk.console.note("resumed; a held run goes on within seconds" if paused else "nothing was paused")
        desk.console.result({"verb": "resume", "control": session.state.get("control")})


@verb(app)
def unlock(desk: Desk, yes: options.Yes = False) -> None:
    """Take the lock from a run that is gone. A run that is still alive loses its lease and stops."""
    with desk.connected() as session:
        held = session.state.get(lease.LOCK)
        if not held.get("holder"):
            desk.console.note("nobody holds the lock")
        else:
            _confirm(desk, lease.describe(held)[0], yes)
            lease.break_open(session.state)
            desk.console.note("the lock is free; next: lbmigrate status")
        desk.console.result({"verb": "unlock", "held": held.get("holder")})


def _confirm(desk: Desk, who: str, yes: bool) -> None:
    desk.console.warning(who)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("unlock asks first, and there is no terminal to ask on", "lbmigrate unlock --yes")
    if not typer.confirm("take the lock away?", err=True):
        raise Refused("the lock stays where it is", "lbmigrate status")
