"""The one place where errors become words and exit codes."""

from __future__ import annotations

import os
import sys
from itertools import pairwise

import typer

from lbmigrate.cli.app import app
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.run.garbage import collecting_seldom, leave_to_the_system
from lbmigrate.telling import foreign, secrets

INTERRUPTED = 130
SHORTEST_SECRET = 8  # characters of a variable; what is shorter is a slip, and shown
TRUE = {"1", "true", "t", "yes", "y", "on"}  # as the options' library reads a variable


def main() -> None:
    """Run the command line; ends the process with a status from the table of exit codes."""
    with collecting_seldom():  # most of what a verb makes are modules, which stay
        code = _written(status())
    leave_to_the_system()
    sys.exit(code)


def _written(code: int) -> int:
    """The exit status once everything is written, or cannot be: a result that is lost is a failure, and no other."""
    for stream, lost in ((sys.stdout, LbmigrateError.exit_code), (sys.stderr, 0)):
        if stream is None:  # it was closed before we began
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # else Python ends with a code of its own
            code = code or lost
    return code


def status(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    secrets.know_nothing()
    secrets.remember(*given, *os.environ.values())
    try:
        ended = app(given, standalone_mode=False, prog_name="lbmigrate")
    except typer.TyperException as error:
        return _misused(error, given)
    except (typer.Abort, KeyboardInterrupt):
        ended = INTERRUPTED
    except LbmigrateError as error:
        _trace(given, error)
        _say(error, given)
        return error.exit_code
    except Exception as error:  # the last net: an operator gets a sentence, --debug gets the rest
        _trace(given, error)
        _say(LbmigrateError(f"unexpected {type(error).__name__}: {error}", "run it again with --debug"), given)
        return LbmigrateError.exit_code
    if ended == INTERRUPTED:  # which typer makes of an interrupt, and no verb returns
        _say(LbmigrateError("interrupted; completed work is saved", "type the same command again: it goes on"), given)
    return ended if isinstance(ended, int) else 0


def _misused(error: typer.TyperException, arguments: list[str]) -> int:
    """A verb or an option that does not exist, or a value that does not fit."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lbmigrate"
    message, hint = _discreet(error.format_message()), f"{command} --help"
    if message.startswith("Usage:"):  # a group without its verb: the help itself
        typer.echo(message, err=True)
        return UsageError.exit_code
    if command == "lbmigrate" and message.startswith("No such option"):
        hint = "options follow the verb, as in `lbmigrate plan --uri URI`; lbmigrate --help"
    _say(UsageError(message, hint), arguments)
    return UsageError.exit_code


def _discreet(message: str) -> str:
    """What is wrong with an option, without the value of its variable: it may be a secret in the wrong place."""
    for name, value in os.environ.items():
        if f"'{name}'" in message and len(value) >= SHORTEST_SECRET:
            message = secrets.without_value(message, value)
    return message


def _say(error: LbmigrateError, arguments: list[str]) -> None:
    from lbmigrate.console import Console  # noqa: PLC0415  only who fails needs a console: --help opens fast

    Console(json_log=_wants_json_lines(arguments)).error(error)


def _wants_json_lines(arguments: list[str]) -> bool:
    """Whether narration is for programs, as typed or by the variable: an error may come before options are read."""
    words = [
        part for word in arguments for part in (word.split("=", 1) if word.startswith("--log-format=") else [word])
    ]
    typed = [value for name, value in pairwise(words) if name == "--log-format"]
    return (typed or [os.environ.get("LBMIGRATE_LOG_FORMAT", "")])[-1].lower() == "json"


def _trace(arguments: list[str], error: Exception) -> None:
    if "--debug" in arguments or os.environ.get("LBMIGRATE_DEBUG", "").lower() in TRUE:
        print(secrets.hidden(foreign.trace(error)), end="", file=sys.stderr)
