"""The verb for sources that changed their mind: reconcile, and what it would add."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

from lbmigrate.checks.finding import refuse
from lbmigrate.checks.server import check_everything
from lbmigrate.config.model import Config
from lbmigrate.ledger import binding
from lbmigrate.ledger.budget import Budget
from lbmigrate.migration import runner
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import BACKFILL
from lbmigrate.mongo.client import retrying
from lbmigrate.passes.changed import changes
from lbmigrate.passes.watermark import unread
from lbmigrate.reconcile import reconcile as walk
from lbmigrate.reconcile.places import began_before
from lbmigrate.reconcile.taken_back import refuse_too_much
from lbmigrate.records import LONGEST_ID, Document, Reconciled
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context
from lbmigrate.values.limits import short

LISTED = 1_000  # adjustments that a preview lists one by one


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What a reconciliation read and adjusted, and how many adjustments there are for each reason.

    `since` is when an earlier run began it, where this one went on with it: what changed since then in the part that
    was read before was not looked at.
    """

    counts: Reconciled
    reasons: dict[str, int]
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ReconcilePreview:
    """How many adjustments are due for each reason, and the first LISTED of them as events."""

    reasons: dict[str, int]
    listed: list[Document]


def reconcile(where: Config | Connection, *, allow: int = 0, terms: Terms = Terms()) -> ReconcileResult:
    """Add adjustment events for what was undone, moved or is worth something else by now, and roll up.

    Where the configuration has changed, this settles it: what is to be read again is read before, and the entries of
    everyone are rebuilt.

    Raises Refused where more than `allow` actions would be taken back and that is more of a source than
    `reconcile.at_most` allows, or all of it, since nothing is in scope any more.
    """
    with _checked(where) as connection:
        binding.check(connection.context())
        retrying(partial(refuse_too_much, connection.context(), allow))
        with runner.started(connection, "reconcile", terms) as driver:
            counts = settled(driver, allow)
        reasons = retrying(partial(walk.adjustments_made, connection.context()))
        since = began_before(driver.context)
    return ReconcileResult(counts, reasons, since)


def settled(driver: Driver, allow: int) -> Reconciled:
    """Reconcile; where the configuration has changed, what that left out is read before."""
    context = driver.context
    if changes(context) and unread(context):
        driver.apply([BACKFILL])
    counts = driver.carry_out(walk.WORK, partial(walk.pieces, context, Budget(context, allowed=allow)))
    return counts if isinstance(counts, Reconciled) else Reconciled()


def preview_reconcile(where: Config | Connection) -> ReconcilePreview:
    """Every adjustment that is due. Writes nothing."""
    with _checked(where) as connection:
        binding.check(connection.context())
        return retrying(partial(_preview, connection.context()))


def _preview(context: Context) -> ReconcilePreview:
    reasons: Counter[str] = Counter()
    listed: list[Document] = []
    for found in walk.differences(context):
        reasons.update(event["meta"]["reason"] for event in found.due)
        listed += map(_shown, islice(found.due, LISTED - len(listed)))
    return ReconcilePreview(dict(reasons), listed)


def _shown(event: Document) -> Document:
    """An adjustment as a list of a thousand can hold it: an id may have two million characters."""
    return event | {name: short(event[name], LONGEST_ID) for name in ("_id", "actionType", "sourceId")}


@contextmanager
def _checked(where: Config | Connection) -> Iterator[Connection]:
    with opened(where) as connection:
        connection.refuse_untouched()
        refuse(check_everything(connection.context(), "reconcile"))
        yield connection
