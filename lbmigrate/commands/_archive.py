"""The verbs that take settled periods out of the database into a backup, and back: boards archive, boards restore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lbmigrate.backup import make, restore
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Manifest
from lbmigrate.board import calendar
from lbmigrate.board.board import Board
from lbmigrate.checks import privileges, rights
from lbmigrate.config.model import Config
from lbmigrate.errors import Refused, UsageError
from lbmigrate.ledger import bound, rolling, walk
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Document, Piece, Work
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.schema.layout import is_partition, partition, partitions, period_of
from lbmigrate.state import layouts
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import names_a_user

ARCHIVE, RESTORE = Work("boards archive"), Work("boards restore")


def settled_boards(where: Config | Connection, before: str) -> list[str]:
    """The periods that end by the beginning of `before` (2025, 2025-W10), to which nothing is added any more.

    Raises UsageError for what is no period, and Refused where periods have no collections of their own.
    """
    with opened(where) as connection:
        config = connection.config
        days = str(config.timezone), config.day_begins
        limit = calendar.span(before, *days)
        if limit is None:
            raise UsageError(f"--before names a year, a month, a week or a day, not {before!r}", "--before 2025")
        now = layouts.layout(connection.state)
        if not now.until or now.moving:
            told = "only periods with collections of their own are archived, and entries are not in such ones"
            raise Refused(told, "set layout: partitioned, then: lbmigrate run")
        freshness = Board(connection.target, config).freshness()
        found = [calendar.about(period_of(name), config, freshness) for name in partitions(connection.target)]
        spans = {each.period: calendar.span(each.period, *days) for each in found if each.settled}
        return [period for period, its in spans.items() if its and its[1] <= limit[0]]


def archive_boards(
    where: Config | Connection, before: str, directory: Path, *, key: bytes = b"", terms: Terms = Terms()
) -> list[str]:
    """Put the settled periods before `before` into a backup in `directory`, and drop their collections; which they are.

    The events stay, so all figures of `global` do; the board of an archived period is empty, and no roll-up fills it.
    """
    command = terms.command or f"lbmigrate boards archive --before {before} --out {directory}"
    with opened(where) as connection:
        periods = settled_boards(connection, before)
        if not periods:
            return []
        into = Archive(directory)
        with into.held(), runner.started(connection, "boards archive", replace(terms, command=command)) as driver:
            driver.carry_out(ARCHIVE, _archived(driver.context, into, periods, command, key))
    return periods


def _archived(context: Context, into: Archive, periods: Sequence[str], again: str, key: bytes) -> Iterator[Piece]:
    archived = layouts.layout(context.state).archived
    absent = [period for period in periods if period not in archived]  # others are in a backup that was made before
    if absent:
        yield from make.pieces(context, into, False, again, key, only=list(map(partition, absent)))
        into.check(into.manifest(key=key))
        layouts.put(context.state, archived=sorted(archived | set(absent)))
    yield Piece("archive", checkpoint=bound.removing(context))
    context.stop.wait(layouts.GRACE)  # for whoever rolls up, and has not looked since
    Histograms(context).void(periods)
    for period in periods:
        if context.stopping():
            return
        context.state.put()  # raises LeaseLost where a successor is at work
        context.target.drop_collection(partition(period))
        yield Piece("archive", note=f"{period} is in {into.root}, and out of the database")


def restore_boards(
    where: Config | Connection, directory: Path, *, digest: str = "", key: bytes = b"", terms: Terms = Terms()
) -> list[str]:
    """Bring the periods of an archive back, and up to the ledger; which they are. A repeat does what is left.

    Raises Refused for a backup that is no archive of boards.
    """
    source = Archive(directory)
    command = terms.command or f"lbmigrate boards restore {directory}"
    with opened(where) as connection:
        manifest = restore.check(connection.context(), source, False, digest, key)
        strange = [each.collection for each in manifest.collections if not is_partition(each.collection)]
        if strange or not manifest.collections:
            told = f"{directory} is no archive of boards: it holds {', '.join(strange) or 'nothing'}"
            raise Refused(told, f"lbmigrate backup restore {directory}")
        context = connection.context()
        flag = (context.target.name, context.config.flag.collection)
        rights.check_needs(
            context, privileges.restoring(restore.places(context, manifest), flag, False), "boards restore"
        )
        with runner.started(connection, "boards restore", replace(terms, command=command)) as driver:
            pieces = partial(_restored, driver.context, source, manifest, command, bool(digest or key))
            driver.carry_out(RESTORE, pieces)
    return [period_of(each.collection) for each in manifest.collections]


def _restored(context: Context, source: Archive, manifest: Manifest, again: str, proven: bool) -> Iterator[Piece]:
    here = set(partitions(context.target))
    absent = tuple(each for each in manifest.collections if each.collection not in here)
    yield from restore.pieces(context, source, replace(manifest, collections=absent), again, proven)
    periods = [period_of(each.collection) for each in manifest.collections]
    layouts.put(context.state, archived=sorted(layouts.layout(context.state).archived - set(periods)))
    for period in periods:
        done = 0
        for users in in_parts(_users(context, period)):
            if context.stopping():
                return
            for some in walk.selections(users):
                retrying(partial(rolling.roll_up, context, some))
            done += len(users)
            yield Piece(period, done, unit="users")
        yield Piece(period, note=f"{period} is back, and as the ledger has it")


def _users(context: Context, period: str) -> list[Any]:
    """Whoever has an entry of the period, or an event in it."""
    begins, ends = calendar.anywhere(period, context.config) or (None, None)
    grouped: list[Document] = [{"$match": {"createdAt": {"$gte": begins, "$lt": ends}}}, {"$group": {"_id": "$userId"}}]
    events = context.target[EVENTS].aggregate(grouped)
    entries = context.target[partition(period)].aggregate(grouped[1:])
    return list(dict.fromkeys(row["_id"] for rows in (events, entries) for row in rows if names_a_user(row["_id"])))
