"""The verbs that look back: status, history."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import keys, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import UsageError, WorkRemains
from lbmigrate.migration import health as judging

app = new_app()

EVERY = 2.0  # seconds between two looks
MaxStaleness = Annotated[
    str | None,
    typer.Option(envvar="LBMIGRATE_MAX_STALENESS", help="Exit 3 if a source was not read or verified for so long: 2h."),
]
Watch = Annotated[bool, typer.Option("--watch", envvar="LBMIGRATE_WATCH", help="Look again every two seconds; q ends.")]
Health = Annotated[
    bool, typer.Option("--health", envvar="LBMIGRATE_HEALTH", help="One line for a monitor, and an exit code.")
]


@verb(app, "lbmigrate status --watch", "lbmigrate status --health --max-staleness 2h")
def status(this: Invocation, max_staleness: MaxStaleness = None, watch: Watch = False, health: Health = False) -> None:
    """Show how far each step, source and run is.

    While a run goes on, with its share, rate and time left. --max-staleness 2h exits 3 when a source was not read to
    its end, or nothing was verified, for longer than that. --health is one line for a monitor, with exit codes.
    """
    most = dt.timedelta(seconds=options.seconds(max_staleness, "--max-staleness")) if max_staleness else None
    if watch:
        _watch(this, alone=not (most or health or this.as_json))
    elif health:
        _judge(this, most)
    else:
        _show(this, most)


def _show(this: Invocation, most: dt.timedelta | None) -> None:
    with this.connected() as connection:
        found = commands.status(connection)
    this.console.status(found)
    old = judging.stale(found, most) if most else []
    told = {"stale": [each.told for each in old]} if most else {}
    this.console.result({"verb": "status", **asdict(found), **told})
    if old:
        raise WorkRemains(old[0].told, old[0].next, [f"{each.told}; next: {each.next}" for each in old[1:]])


def _judge(this: Invocation, most: dt.timedelta | None) -> None:
    """One line on stdout and nothing else, so that a monitor shows what matters."""
    with this.connected_silently() as connection:
        found = commands.status(connection)
    wrong = judging.troubles(found, most)
    line = judging.in_a_line(found, wrong)
    this.console.say(line)
    code = wrong[0].code if wrong else 0
    this.console.result({"verb": "status", "health": line, "code": code, "troubles": [asdict(each) for each in wrong]})
    if code:
        raise typer.Exit(code)


def _watch(this: Invocation, alone: bool) -> None:
    """A screen that is drawn again until `q` or Ctrl-C; each look is the whole of what `status` says."""
    if not alone:
        raise UsageError("--watch goes with none of --health, --max-staleness and --json", "lbmigrate status --watch")
    if not this.console.is_live or sys.stdin is None or not sys.stdin.isatty():
        told = "--watch needs a terminal that can be drawn on"
        raise UsageError(told, "lbmigrate status, or for a monitor: lbmigrate status --health")
    with this.connected() as connection, keys.one_at_a_time() as pressed, this.console.redrawn() as draw:
        while True:
            draw(commands.status(connection))
            if pressed(EVERY) in keys.END:
                return


@verb(app, "lbmigrate history -n 5")
def history(
    this: Invocation, n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many runs.")] = 20
) -> None:
    """Show what each run did, newest first."""
    with this.connected() as connection:
        rows = commands.history(connection, n)
    this.console.history(rows)
    this.console.result({"verb": "history", "runs": rows})
