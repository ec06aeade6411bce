"""The verbs that only look: plan, status, history, top, rank, around, config."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate.board.board import Board, check_period
from lbmigrate.checks import server
from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.config.load import config_digest, flatten, json_schema, schema_text, starter
from lbmigrate.errors import Refused, UsageError, WorkRemains
from lbmigrate.migration import plan
from lbmigrate.migration.status import status as look_at
from lbmigrate.mongo import faults
from lbmigrate.schema import REJECTS

app = typer.Typer()
Who = Annotated[str, typer.Argument(help="The user's id, as in the users collection.")]


@verb(app, "plan")
def show_plan(desk: Desk) -> None:
    """Show the steps, their state, and what a run would do. Exits 3 when anything is pending."""
    with desk.connected() as session:
        found = plan.look(session.context())
        desk.console.plan(found)
        desk.console.result({"verb": "plan", "pending": found.pending, **asdict(found)})
    if found.pending:
        mends = [finding.mend for finding in found.findings if finding.level == "refusal"]
        raise WorkRemains("work is pending", hint=mends[0] if mends else "lbmigrate run")


@verb(app)
def doctor(desk: Desk) -> None:
    """Check everything worth checking before a run, each with the mend. Exits 6 when a run would be refused."""
    with desk.connected() as session:
        found = server.check_everything(session.context())
        desk.console.findings(found)
        desk.console.result({"verb": "doctor", "findings": [asdict(finding) for finding in found]})
    refusals = [finding for finding in found if finding.level == "refusal"]
    if refusals:
        raise Refused(f"a run would be refused: {refusals[0].subject}: {refusals[0].fact}", hint=refusals[0].mend)


@verb(app)
def status(desk: Desk) -> None:
    """Show how far each step, source and run is."""
    with desk.connected() as session:
        found = look_at(session.context())
        desk.console.status(found)
        desk.console.result({"verb": "status", **asdict(found)})


@verb(app)
def history(
    desk: Desk, n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many runs.")] = 20
) -> None:
    """Show what each run did, newest first."""
    with desk.connected() as session:
        rows = session.state.runs(n)
        desk.console.history(rows)
        desk.console.result({"verb": "history", "runs": rows})


@verb(app)
def rejects(
    desk: Desk,
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many documents.")] = 20,
) -> None:
    """Show source documents that could not be scored, and why, newest first."""
    with desk.connected() as session:
        rows = list(session.target[REJECTS].find({}).sort("createdAt", -1).limit(n))
        shown = [(row["source"], row["sourceId"], row["reason"], row["createdAt"]) for row in rows]
        desk.console.table("Rejects", ("source", "document", "reason", "at"), shown)
        desk.console.result({"verb": "rejects", "rejects": rows})


@verb(app)
def top(
    desk: Desk,
    period: options.Period = "global",
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many.")] = 10,
) -> None:
    """Show the first of a period, as the app would read them."""
    with desk.connected() as session:
        board = Board(session.target, session.config)
        check_period(period, board)
        places = board.top(period, n)
        desk.console.board(period, places)
        desk.console.result({"verb": "top", "period": period, "places": [asdict(place) for place in places]})


@verb(app)
def rank(desk: Desk, user: Who, period: options.Period = "global") -> None:
    """Show a user's place."""
    with desk.connected() as session:
        place = Board(session.target, session.config).rank(user, period)
        if place is None:
            raise _nobody(user, period)
        desk.console.board(period, [place])
        desk.console.result({"verb": "rank", "period": period, "place": asdict(place)})


@verb(app)
def around(
    desk: Desk,
    user: Who,
    period: options.Period = "global",
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many on either side.")] = 3,
) -> None:
    """Show a user among the neighbours."""
    with desk.connected() as session:
        board = Board(session.target, session.config)
        places, own = board.around(user, period, n), board.rank(user, period)
        if own is None:
            raise _nobody(user, period)
        desk.console.board(period, places, highlight=own.user)
        desk.console.result({"verb": "around", "period": period, "places": [asdict(place) for place in places]})


def _nobody(user: str, period: str) -> UsageError:
    return UsageError(f"user {user!r} is not on the board for {period!r}", hint=f"lbmigrate top --period {period}")


configs = typer.Typer(no_args_is_help=True, help="The configuration: init, check, show, schema.")
app.add_typer(configs, name="config")


@verb(configs, "init")
def config_init(
    desk: Desk, path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("config/leaderboard.yaml")
) -> None:
    """Write a commented configuration to start from."""
    if path.exists():
        raise UsageError(f"{path} exists already and is left as it is", f"lbmigrate config check --config {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(starter(), encoding="utf-8")
    desk.console.note(f"wrote {path}; next: lbmigrate config check --config {path}")
    desk.console.result({"verb": "config init", "path": str(path)})


@verb(configs, "check")
def config_check(desk: Desk) -> None:
    """Read the configuration and tell every problem in it."""
    loaded = desk.loaded()
    names = ", ".join(source.name for source in loaded.config.sources)
    desk.console.note(f"{loaded.path} is fine: sources {names}; next: lbmigrate plan")
    desk.console.result({"verb": "config check", "path": str(loaded.path), "digest": config_digest(loaded.config)})


@verb(configs, "show")
def config_show(desk: Desk) -> None:
    """Show every value and where it comes from. URIs are redacted."""
    loaded = desk.loaded()
    values = flatten(loaded.config)
    rows = [(key, _shown(key, value), loaded.origins[key]) for key, value in values.items()]
    desk.console.config_origins(rows)
    shown = {key: {"value": value, "from": origin} for key, value, origin in rows}
    desk.console.result({"verb": "config show", "values": shown})


def _shown(key: str, value: object) -> str:
    """A value as a file would say it, without its secrets."""
    if key in ("database.uri", "redis.url") and value:
        return faults.redact(str(value))
    if isinstance(value, dt.timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@verb(configs, "schema")
def config_schema(desk: Desk) -> None:
    """Print the JSON Schema of the configuration, for editors."""
    desk.console.text(schema_text())
    desk.console.result({"verb": "config schema", "schema": json_schema()})
