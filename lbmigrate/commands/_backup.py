"""The verbs about backups: make, verify, restore."""

from __future__ import annotations

from pathlib import Path

from pymongo.errors import PyMongoError

from lbmigrate.backup import make, restore
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Manifest
from lbmigrate.checks import privileges, rights
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo import faults
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context
from lbmigrate.run.stop import Stop


def make_backup(
    where: Config | Connection, directory: Path, *, sources: bool = False, terms: Terms = Terms()
) -> Manifest:
    """Back up what a migration may touch into `directory`, with `sources` the app's collections too; what it holds.

    Goes on with an unfinished backup of the same. Needs no lock: it only reads, and runs go on beside it.
    """
    into = Archive(directory)
    command = terms.command or f"lbmigrate backup --out {directory}"
    with opened(where) as connection, into.held():
        context = _context(connection, terms)
        rights.check(context, "backup")
        try:
            with runner.recorded_afterwards(context, "backup", command):
                Driver(context, listen=terms.listen).carry_out(make.WORK, make.pieces(context, into, sources, command))
        except PyMongoError as error:
            explained = faults.explain(error, connection.config.database.uri)
            explained.hint = command if faults.is_transient(error) else explained.hint
            raise explained from error
    return into.manifest()


def verify_backup(directory: Path) -> Manifest:
    """Read a backup from end to end and compare it with its manifest. Raises Refused when it is damaged."""
    found = Archive(directory)
    manifest = found.manifest()
    found.check(manifest)
    return manifest


def restore_backup(
    where: Config | Connection, directory: Path, *, renamed: bool = False, terms: Terms = Terms()
) -> Manifest:
    """Bring a backup back where its collections are gone or empty; what it held.

    `renamed` allows a database of another name. Takes no lease before it is done: the state with the lock is among what
    comes back. Raises Refused, and writes nothing, when a collection holds documents already.
    """
    source = Archive(directory)
    command = terms.command or f"lbmigrate backup restore {directory}"
    with opened(where) as connection:
        context = _context(connection, terms)
        manifest = restore.check(context, source, renamed)
        rights.check_needs(context, privileges.restoring(restore.places(context, manifest)), "backup restore")
        with runner.recorded_afterwards(context, "backup restore", command):
            pieces = restore.pieces(context, source, manifest, command)
            Driver(context, listen=terms.listen).carry_out(restore.WORK, pieces)
    return manifest


def _context(connection: Connection, terms: Terms) -> Context:
    """Surroundings without a lease: backups only read, and what they bring back holds the lock itself."""
    return connection.context(run=runner.new_run(), stop=terms.stop or Stop(), state=connection.state.unfenced())
