"""The command line: its verbs, each in a module that is imported only when the verb is typed.

A new verb is a module with an `app` here, whose function is registered with `invocation.verb`, and its line in VERBS.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

import lbmigrate

# Verb or noun: the module that has it, and the first line of its help.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the whole migration on the embedded server, on generated or given history."),
    "doctor": ("doctor", "Check everything worth checking before a run, each with its fix."),
    "plan": ("plan", "Show the steps, where they stand, and what a run would do."),
    "run": ("run", "Apply what is pending, resuming where it stopped."),
    "backfill": ("backfill", "Step 4 alone, incremental: events and entries for what is new or changed."),
    "worker": (
        "worker",
        "Join the run that is going on, from this host or another: take chunks from it, and end with it.",
    ),
    "tail": ("tail", "Follow what the app writes and record it at once, for apps that are not written in Python."),
    "verify": ("verify", "Compare entries with the ledger, and the ledger with its sources, by a second reading."),
    "recount": (
        "recount",
        "Count the sources against the ledger, range by range, and read again only where they differ.",
    ),
    "reconcile": (
        "reconcile",
        "Add adjustment events for tasks that were undone, moved or are worth something else by now.",
    ),
    "forget": ("forget", "Take a user out permanently: the entries go, the events stay under a tombstone."),
    "rollback": ("rollback", "Revert the steps: flags off first, then what this migration made, and nothing else."),
    "backup": ("backup", "Back up what a migration may touch: make (or no verb at all), verify, restore."),
    "flag": ("flag", "The feature flag: show, write on|off, read on|off."),
    "status": ("status", "Show how far each step, source and run is."),
    "history": ("status", "Show what each run did, newest first."),
    "rejects": ("rejects", "Documents that could not be scored: groups (or no verb at all), list, show, retry."),
    "top": ("board", "Show the top of a period, as the app would read it."),
    "rank": ("board", "Show a user's place."),
    "around": ("board", "Show a user's place, with the places before and after it."),
    "boards": (
        "boards",
        "Boards in Redis (status, check, rebuild, persist), of settled periods (archive, restore).",
    ),
    "explain": ("explain", "Show why a user's score is what it is, and what would change it."),
    "pause": ("control", "Pause the run after the current chunk, and every later run, until `resume`."),
    "resume": ("control", "Let paused runs continue."),
    "tune": ("control", "Change the pace of the run that is going on, within one chunk."),
    "unlock": ("control", "Take the lock from a run that is gone."),
    "config": ("config", "The configuration: init, check, show, schema."),
}


class Noun(TyperGroup):
    """A group whose help has each verb's first line, whole. One that is a verb `alone` has the options of that verb.

    A mistyped verb is an error, never an argument.
    """

    alone = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = {*self.commands, *ctx.help_option_names}
        plain = not args or (args[0].startswith("-") and not named.intersection(args))
        return super().parse_args(ctx, [self.alone, *args] if self.alone and plain else args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.told(ctx))

    def told(self, ctx: Any) -> list[tuple[str, str]]:
        """Each verb with the first line of its help."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return [(name, (command.help or "").split("\n")[0]) for name, command in found if command]


class Verbs(Noun):
    """The verbs of VERBS, in its order, imported one by one when they are typed: `--help` opens fast."""

    _only_names = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        if self._only_names:
            return TyperCommand(cmd_name, help=VERBS[cmd_name][1])
        group = get_group(import_module(f"lbmigrate.cli.{VERBS[cmd_name][0]}").app)
        group.name = cmd_name
        return group.commands.get(cmd_name, group)  # a noun is the group itself

    def told(self, ctx: Any) -> list[tuple[str, str]]:
        return [(verb, about) for verb, (_, about) in VERBS.items()]

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The verbs that begin so, without their modules: somebody waits for the tabulator."""
        self._only_names = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._only_names = False


def new_app(add_completion: bool = False, cls: type[TyperGroup] = Noun, **options: Any) -> typer.Typer:
    """Where a module registers its verbs. Plain help: it is read in logs and manuals as well as at a terminal."""
    return typer.Typer(
        rich_markup_mode=None, add_completion=add_completion, pretty_exceptions_enable=False, cls=cls, **options
    )


app = new_app(
    name="lbmigrate",
    cls=Verbs,
    help="Give a productivity app on MongoDB a leaderboard: backfill it safely, keep it right, take it all back.",
    epilog="lbmigrate VERB --help has the options of a verb, and examples.",
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lbmigrate {lbmigrate.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass
