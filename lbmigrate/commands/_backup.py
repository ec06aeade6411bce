"""The verbs about backups: make, verify, restore."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pymongo.errors import PyMongoError

from lbmigrate.backup import make, restore
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Manifest
from lbmigrate.checks import privileges, rights
from lbmigrate.config.model import Config
from lbmigrate.ledger import binding, bound
from lbmigrate.live import gaps
from lbmigrate.migration import runner
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo import faults
from lbmigrate.records import Checkpoint
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context
from lbmigrate.run.stop import Stop


def make_backup(
    where: Config | Connection, directory: Path, *, sources: bool = False, key: bytes = b"", terms: Terms = Terms()
) -> Manifest:
    """Back up what a migration may touch into `directory`, with `sources` the app's collections too; what it holds.

    Goes on with an unfinished backup of the same. A `key` seals its manifest (HMAC-SHA256). Needs no lock: it only
    reads, and runs go on beside it.
    """
    into = Archive(directory)
    command = terms.command or f"lbmigrate backup --out {directory}"
    with opened(where) as connection, into.held():
        context = _context(connection, terms)
        rights.check(context, "backup")
        binding.refuse_foreign(context)
        try:
            with runner.recorded_afterwards(context, "backup", command):
                Driver(context, listen=terms.listen).carry_out(
                    make.WORK, partial(make.pieces, context, into, sources, command, key)
                )
        except PyMongoError as error:
            explained = faults.explain(error, connection.config.database.uri)
            explained.hint = command if faults.is_transient(error) else explained.hint
            raise explained from error
    return into.manifest()


def verify_backup(directory: Path, *, digest: str = "", key: bytes = b"") -> Manifest:
    """Read a backup from end to end and compare it with its manifest. Raises Refused when it is damaged.

    With the SHA-256 of its manifest, or the key that sealed it, also when it is not as it was made.
    """
    found = Archive(directory)
    manifest = found.manifest(digest, key)
    found.check(manifest)
    return manifest


def restore_backup(
    where: Config | Connection,
    directory: Path,
    *,
    renamed: bool = False,
    digest: str = "",
    key: bytes = b"",
    terms: Terms = Terms(),
) -> Manifest:
    """Bring a backup back where its collections are gone or empty; what it held.

    `renamed` allows a database of another name. `digest` is the SHA-256 of the manifest, `key` what sealed it: with
    either it is known to be as it was made, and everything comes back; else what `backup.allowed` says. Takes no lease
    before it is done: the state with the lock is among what comes back. Raises Refused, and writes nothing, when a
    collection holds documents already, or the state is another leaderboard's.
    """
    source = Archive(directory)
    command = terms.command or f"lbmigrate backup restore {directory}"
    with opened(where) as connection:
        context = _context(connection, terms)
        manifest = restore.check(context, source, renamed, digest, key)
        binding.refuse_foreign(context)  # a state of another leaderboard must not make way
        flag = (context.target.name, context.config.flag.collection)
        needs = privileges.restoring(restore.places(context, manifest), flag, manifest.sources)
        rights.check_needs(context, needs, "backup restore")
        with runner.recorded_afterwards(context, "backup restore", command):
            pieces = partial(restore.pieces, context, source, manifest, command, proven=bool(digest or key))
            Driver(context, listen=terms.listen).carry_out(restore.WORK, pieces)
            _bind(context, source, manifest)
    return manifest


def _bind(context: Context, source: Archive, manifest: Manifest) -> None:
    """What came back has other identities, and no stream of changes leads to it."""
    copied = {entry.collection: source.metadata(entry).get("uuid", "") for entry in manifest.collections}
    if known := bound.restored(context, copied):
        context.state.put(known)
    if context.state.get(gaps.ROW):
        context.state.put(Checkpoint(gaps.ROW, {"token": None}))


def _context(connection: Connection, terms: Terms) -> Context:
    """Surroundings without a lease: backups only read, and what they bring back holds the lock itself."""
    return connection.context(run=runner.new_run(), stop=terms.stop or Stop(), state=connection.state.unfenced())
