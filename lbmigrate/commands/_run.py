"""The verbs that apply steps: run, backfill, verify."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lbmigrate.backup import record
from lbmigrate.board.lookup import naming
from lbmigrate.checks.finding import refuse
from lbmigrate.checks.server import check_everything
from lbmigrate.errors import Mismatch, Refused, UsageError
from lbmigrate.ledger import forget as leaving
from lbmigrate.ledger import sharding
from lbmigrate.ledger.binding import ANY_OF_OURS
from lbmigrate.migration import runner
from lbmigrate.migration import steps as migration
from lbmigrate.migration.driver import chosen, refuse_turned_off
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import BACKFILL, VERIFY
from lbmigrate.records import Counts, Document, Tally
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context, Scope, VerifyOptions
from lbmigrate.telling.secrets import LOCAL, redact_word

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

NOBODY = "lbmigrate top --json shows ids; if a variable sets it that was meant for something else: unset LBMIGRATE_USER"


def run(
    where: Config | Connection,
    *,
    to: int | None = None,
    only: int | None = None,
    scope: Scope = Scope(),
    backup_ref: str | None = None,
    no_backup: bool = False,
    confirmed: bool = False,
    shard: bool = False,
    terms: Terms = Terms(),
) -> Counts:
    """Apply what is pending, up to step `to` or step `only`, resuming where it stopped; what became of the documents.

    `scope` bounds the actions that the backfill reads; its `since` says where the board begins, if nothing is counted
    yet or it is earlier than before, and so bounds every later backfill as well. Nothing starts without a backup on
    record: `backup_ref` names one, `no_backup` puts on record that there is none. What somebody turned off is turned on
    again only when `confirmed`.
    With `shard` step 2 spreads the collections over the shards of a cluster. Raises Refused, Locked, WorkRemains,
    Stopped or Mismatch.
    """
    steps, scope = chosen(migration.STEPS, to, only), replace(scope, lasting=True)
    with opened(where) as connection:
        context = connection.context(scope=scope, confirmed=confirmed)
        if shard:
            sharding.check(context)
        refuse(check_everything(context))
        _refuse_without_backup(context, backup_ref, no_backup)
        refuse_turned_off(context, steps)
        bears = None if migration.see_to_it(steps) else ()
        with runner.started(
            connection, "run", terms, bears=bears, scope=scope, confirmed=confirmed, shard=shard
        ) as driver:
            return _backfilled(driver.apply(steps))


def backfill(where: Config | Connection, *, scope: Scope = Scope(), terms: Terms = Terms()) -> Counts:
    """Step 4 alone, incremental unless `scope` says otherwise; what became of the documents. Raises as `run` does."""
    with opened(where) as connection:
        context = connection.context(scope=scope)
        refuse(check_everything(context, "backfill"))
        _check_user(context)
        _refuse_without_backup(context)
        with runner.started(connection, "backfill", terms, bears=None, scope=scope) as driver:
            return _backfilled(driver.apply([BACKFILL]))


def verify(where: Config | Connection, *, options: VerifyOptions = VerifyOptions(), terms: Terms = Terms()) -> Document:
    """Compare entries with the ledger, whatever an earlier verdict says; the new verdict. Raises Mismatch."""
    with opened(where) as connection:
        connection.refuse_untouched(Mismatch)
        with runner.started(connection, "verify", terms, bears=ANY_OF_OURS, verify=options) as driver:
            driver.apply([VERIFY])
        return connection.state.get("verdict")


def _check_user(context: Context) -> None:
    """Raise UsageError for a bound that is nobody: a backfill of nobody would be done at once, and say so."""
    user = context.scope.user
    if user is None:
        return
    try:
        leaving.check(context, user)
    except UsageError as error:
        asked = (
            (source.collection, naming(context.sources, context.config, source.user, user))
            for source in context.config.sources
        )
        if not any(context.sources[name].find_one(condition, {"_id": 1}) for name, condition in asked):
            raise UsageError(f"--user: {error.message}, and no document of a source names it", hint=NOBODY) from None


def _backfilled(counts: dict[str, Tally]) -> Counts:
    found = counts.get(BACKFILL.NAME)
    return found if isinstance(found, Counts) else Counts()


def _refuse_without_backup(context: Context, reference: str | None = None, none: bool = False) -> None:
    """Nothing starts without a backup on record, or somebody on record who did without; the embedded server may."""
    if reference and none:
        raise UsageError(
            "--backup-ref and --no-backup contradict each other",
            "give one of them, as an option or a variable (LBMIGRATE_BACKUP_REF)",
        )
    embedded = context.config.database.uri.startswith(LOCAL)
    if not embedded and (reference or none):
        how, named = ("reference", redact_word(reference)) if reference else ("none", "")
        record.record(context.state, how, named, context.clock())
    if objection := record.objection(context, embedded):
        raise Refused(objection, hint=record.HINT)
