"""The noun of backups: make, verify, restore; plain `backup` is `backup make`."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.backup import archive, contents
from lbmigrate.backup import restore as way_back
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Manifest
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import Noun, new_app
from lbmigrate.cli.invocation import Invocation, command_line, verb
from lbmigrate.errors import UsageError
from lbmigrate.records import amount
from lbmigrate.run.context import utc_now
from lbmigrate.telling import secrets

HOME = Path("backups")
KEY = "LBMIGRATE_BACKUP_KEY"
SHORTEST_KEY = 16  # bytes
Digest = Annotated[
    str, typer.Option("--digest", envvar="LBMIGRATE_DIGEST", help="The SHA-256 of its manifest, kept elsewhere.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file", envvar="LBMIGRATE_BACKUP_KEY_FILE", help=f"Holds the key that seals backups; or {KEY} does."
    ),
]
Directory = Annotated[Path, typer.Argument(help="The backup's directory.")]


class Backups(Noun):
    """Plain `backup` is `backup make`."""

    alone = "make"


app = new_app(cls=Backups, help="Back up what a migration may touch: make (or no verb at all), verify, restore.")


@verb(app, "lbmigrate backup", "lbmigrate backup make backups/before --sources")
def make(
    this: Invocation,
    directory: Annotated[
        Path | None, typer.Argument(help="The directory; by default backups/DATABASE-TIME.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", envvar="LBMIGRATE_OUT", help="The directory; an unfinished backup in it is continued."),
    ] = None,
    sources: Annotated[
        bool, typer.Option("--sources", envvar="LBMIGRATE_SOURCES", help="The app's own collections as well.")
    ] = False,
    key_file: KeyFile = None,
) -> None:
    """Back up what a migration may touch, in the layout of mongodump, and put that on record.

    Of the feature flags it holds our document alone. --sources adds the app's own collections.
    """
    given, key = directory or out, backup_key(key_file)
    with this.connected() as connection:
        into = given or HOME / f"{connection.target.name}-{utc_now():%Y-%m-%dT%H%M%SZ}"
        again = command_line(*([] if given else ["--out", str(into)]))
        with this.running() as terms:
            made = commands.make_backup(connection, into, sources=sources, key=key, terms=replace(terms, command=again))
    _show(this, "backup", into, made)
    sealed = "sealed with the key; " if key else ""
    this.console.note(f"{sealed}the SHA-256 of its manifest, to keep elsewhere, for --digest: {_digest(into)}")
    this.console.note(f"{_documents(made)} in {into}; next: lbmigrate backup verify {into}")


@verb(app, "lbmigrate backup verify backups/before")
def verify(this: Invocation, directory: Directory, digest: Digest = "", key_file: KeyFile = None) -> None:
    """Read a backup from end to end and compare it with its manifest; asks no server. Exits 6 when it is damaged.

    --digest, or the key that it was made with, says that nobody has changed it.
    """
    key = backup_key(key_file)
    found = commands.verify_backup(directory, digest=digest, key=key)
    _show(this, "backup verify", directory, found)
    known = ", and as it was made" if digest or key else ""
    this.console.note(f"{directory} is whole{known}; to bring it back: lbmigrate backup restore {directory}")


@verb(
    app, "lbmigrate backup restore backups/before", "lbmigrate backup restore backups/before --database app_copy --yes"
)
def restore(
    this: Invocation,
    directory: Directory,
    digest: Digest = "",
    key_file: KeyFile = None,
    yes: options.Yes = False,
) -> None:
    """Bring a backup back where its collections are gone or empty; --database takes it to another database."""
    key = backup_key(key_file)
    renamed = "database.name" in this.overrides
    with this.connected() as connection:
        manifest = way_back.check(connection.context(), Archive(directory), renamed, digest, key)
        if not yes:
            name, count = connection.target.name, len(manifest.collections)
            this.console.warning(
                f"this writes {amount(manifest.documents, 'document')} into {amount(count, 'collection')} of {name}"
            )
            confirm.retype("restore", "the database's name", name, "lbmigrate status")
        with this.running() as terms:
            commands.restore_backup(connection, directory, renamed=renamed, digest=digest, key=key, terms=terms)
    _show(this, "backup restore", directory, manifest)
    this.console.note(f"{_documents(manifest)} back; next: lbmigrate status")


def _documents(manifest: Manifest) -> str:
    return f"{amount(manifest.documents, 'document')} {'is' if manifest.documents == 1 else 'are'}"


def _show(this: Invocation, words: str, where: Path, manifest: Manifest) -> None:
    rows = [(entry.collection, entry.documents, entry.size) for entry in manifest.collections]
    title = f"{manifest.database} as of {manifest.begun}"
    this.console.table(title, ("collection", "documents", "bytes"), rows)
    found = {"documents": manifest.documents, "digest": _digest(where), **asdict(manifest)}
    this.console.result({"verb": words, "directory": str(where), **found})


def _digest(directory: Path) -> str:
    return contents.digest(directory / archive.MANIFEST)


def backup_key(file: Path | None) -> bytes:
    """The key of backups, from a file or a variable, since others can read a command line; empty when there is none.

    Raises UsageError for one that cannot be read, or could be guessed.
    """
    try:
        key = file.read_bytes().strip() if file else os.environ.get(KEY, "").encode()
    except OSError as error:
        raise UsageError(f"the key file {file} cannot be read: {error.strerror}", f"ls -l {file}") from error
    if (file or key) and len(key) < SHORTEST_KEY:
        raise UsageError(
            f"the key of backups has {amount(len(key), 'byte')}, and {SHORTEST_KEY} is the least",
            "openssl rand -hex 32",
        )
    secrets.keep([key.decode("utf-8", "replace")])
    return key
