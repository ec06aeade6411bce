"""The one seam where errors become words and exit codes."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

from lbmigrate.cli import backup, correct, demo, look, migrate, steer, tail, undo
from lbmigrate.console import Console
from lbmigrate.errors import LbmigrateError, UsageError

INTERRUPTED = 130

app = typer.Typer(
    name="lbmigrate",
    help="Give a productivity app on MongoDB a leaderboard: backfill it safely, keep it right, take it all back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it is read in logs and manuals as well as at a terminal
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for room in (demo, migrate, correct, undo, look, steer, tail, backup):
    app.add_typer(room.app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lbmigrate {version('lbmigrate')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; ends the process with a status from the table of exit codes."""
    sys.exit(status())


def status(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        outcome = app(given, standalone_mode=False)
    except typer.TyperException as error:
        return _misused(error)
    except (typer.Abort, KeyboardInterrupt):
        Console().error(LbmigrateError("stopped at once; what was checkpointed stays good", "the same command goes on"))
        return INTERRUPTED
    except LbmigrateError as error:
        _trace(given)
        Console().error(error)
        return error.exit_code
    except Exception as error:  # the last net: an operator gets a sentence, --debug gets the rest
        _trace(given)
        Console().error(LbmigrateError(f"unexpected {type(error).__name__}: {error}", "run it again with --debug"))
        return LbmigrateError.exit_code
    return outcome if isinstance(outcome, int) else 0


def _misused(error: typer.TyperException) -> int:
    """A verb or an option that does not exist, or a value that does not fit."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lbmigrate"
    told, hint = error.format_message(), f"{command} --help"
    if told.startswith("Usage:"):  # a group without its verb: the help itself
        typer.echo(told, err=True)
        return UsageError.exit_code
    if command == "lbmigrate" and told.startswith("No such option"):
        hint = "options follow the verb, as in `lbmigrate plan --uri …`; lbmigrate --help"
    Console().error(UsageError(told, hint))
    return UsageError.exit_code


def _trace(arguments: list[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()
