"""The verbs about backups: make, verify, restore; plain `backup` is `backup make`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pymongo.errors import PyMongoError
from typer.core import TyperGroup

from lbmigrate.backup import make as making
from lbmigrate.backup import restore
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Manifest
from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.errors import Refused, UsageError
from lbmigrate.mongo import faults
from lbmigrate.run.connection import Session
from lbmigrate.run.context import utc_now
from lbmigrate.run.stop import Brake

HOME = Path("backups")
Directory = Annotated[Path, typer.Argument(help="The backup's directory.")]


class Backups(TyperGroup):
    """A group whose own options are those of `make`. A mistyped verb is an error, never a directory."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = {*self.commands, *ctx.help_option_names}
        plain = not args or (args[0].startswith("-") and not named.intersection(args))
        return super().parse_args(ctx, ["make", *args] if plain else args)


app = typer.Typer()
backups = typer.Typer(
    cls=Backups, help="Back up what a migration may touch: make (or no verb at all), verify, restore."
)
app.add_typer(backups, name="backup")


@verb(backups)
def make(
    desk: Desk,
    directory: Annotated[
        Path | None, typer.Argument(help="Where to; backups/DATABASE-TIME when left out.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", envvar="LBMIGRATE_OUT", help="Where to; goes on with an unfinished one."),
    ] = None,
    sources: Annotated[
        bool, typer.Option("--sources", envvar="LBMIGRATE_SOURCES", help="The app's own collections as well.")
    ] = False,
) -> None:
    """Back up what a migration may touch, in the layout of mongodump, and put that on record."""
    given = directory or out
    with desk.connected() as session:
        into = Archive(given or HOME / f"{session.target.name}-{utc_now():%Y-%m-%dT%H%M%SZ}")
        again = shlex.join(["lbmigrate", *sys.argv[1:], *([] if given else ["--out", str(into.root)])])
        _make(desk, session, into, sources, again)
    made = into.manifest()
    _tell(desk, "backup", into, made)
    desk.console.note(f"{made.documents:,} documents are in {into.root}; next: lbmigrate backup verify {into.root}")


def _make(desk: Desk, session: Session, into: Archive, sources: bool, again: str) -> None:
    brake = Brake()
    try:
        with into.held(), desk.heeding_signals(brake):
            desk.console.follow(making.make(session.context(brake=brake), into, sources, again))
    except PyMongoError as error:
        told = faults.explain(error, session.config.database.uri)
        told.hint = again if faults.is_transient(error) else told.hint
        raise told from error


@verb(backups)
def verify(desk: Desk, directory: Directory) -> None:
    """Read a backup from end to end and compare it with its manifest; asks no server. Exits 6 when it is damaged."""
    found = Archive(directory)
    manifest = found.manifest()
    found.check(manifest)
    _tell(desk, "backup verify", found, manifest)
    desk.console.note(f"{directory} is whole; it would come back with: lbmigrate backup restore {directory}")


@verb(backups, "restore")
def bring_back(desk: Desk, directory: Directory, yes: options.Yes = False) -> None:
    """Bring a backup back where its collections are gone or empty; --database takes it to another database."""
    source, brake = Archive(directory), Brake()
    with desk.connected() as session, desk.heeding_signals(brake):
        context = session.context(brake=brake)
        manifest = restore.check(context, source, renamed="database.name" in desk.overrides)
        _confirm(desk, session.target.name, manifest, yes)
        again = shlex.join(["lbmigrate", *sys.argv[1:]])
        desk.console.follow(restore.restore(context, source, manifest, again))
    _tell(desk, "backup restore", source, manifest)
    desk.console.note(f"{manifest.documents:,} documents are back; next: lbmigrate status")


def _confirm(desk: Desk, name: str, manifest: Manifest, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("restore asks before it writes, and there is no terminal to ask on", "add --yes")
    count = len(manifest.collections)
    desk.console.warning(f"this writes {manifest.documents:,} documents into {count} collections of {name}")
    if typer.prompt("type the database's name to go on", err=True) != name:
        raise Refused("that is not the database's name; nothing was changed", hint="lbmigrate status")


def _tell(desk: Desk, words: str, where: Archive, manifest: Manifest) -> None:
    rows = [(entry.collection, entry.documents, entry.size) for entry in manifest.collections]
    title = f"{manifest.database} as of {manifest.begun}"
    desk.console.table(title, ("collection", "documents", "bytes"), rows)
    told = {"documents": manifest.documents, **asdict(manifest)}
    desk.console.result({"verb": words, "directory": str(where.root), **told})
