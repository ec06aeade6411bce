"""Heal what a verification found and commands of ours heal, and verify again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any

from lbmigrate.backfill.tasks import RollUp
from lbmigrate.commands._reconcile import settled
from lbmigrate.commands._run import verify
from lbmigrate.config.model import Config
from lbmigrate.errors import Mismatch
from lbmigrate.ledger import walk
from lbmigrate.migration import runner
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import BACKFILL, CREATE_COLLECTIONS, CREATE_INDEXES
from lbmigrate.mongo.client import retrying
from lbmigrate.reconcile.taken_back import refuse_too_much
from lbmigrate.records import Document, Piece, Report, Work, amount
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.context import Context, Scope, VerifyOptions
from lbmigrate.run.jobs import shared_out
from lbmigrate.run.workers import Held, News
from lbmigrate.values.id_text import exact_text
from lbmigrate.verify.kinds import Heal

WORK = Work("repair")
COMMAND = "lbmigrate verify --full --repair"
USERS_AT_ONCE = 500
REMEMBERED = 100_000  # users whose entries are wrong; where there are more everything is read and computed again
DOES: dict[Heal, str] = {
    Heal.STEPS: "create the collections and indexes that are missing",
    Heal.BACKFILL: "read all sources again and add the events that are missing",
    Heal.RECONCILE: "add adjustment events for what the ledger has otherwise than its sources",
    Heal.ROLL_UP: "compute the entries of these users again from the ledger",
    Heal.PERSON: "nothing: no command repairs them",
}
Tell = Callable[[str], None]


@dataclass(slots=True)
class _Heard:
    """What a verification told while it ran."""

    heals: Counter[Heal] = field(default_factory=Counter)
    users: dict[str, Any] = field(default_factory=dict)

    def healable(self) -> bool:
        return bool(set(self.heals) - {Heal.PERSON})

    def listen(self, terms: Terms, report: Report) -> None:
        for mismatch in report.piece.found if report.piece else ():
            self.heals[mismatch.heals] += 1
            if mismatch.user is not None and len(self.users) <= REMEMBERED:
                self.users[exact_text(mismatch.user)] = mismatch.user
        terms.listen(report)


def repair(
    where: Config | Connection,
    *,
    options: VerifyOptions = VerifyOptions(),
    allow: int = 0,
    terms: Terms = Terms(),
    tell: Tell = lambda sentence: None,
) -> Document:
    """Verify; where something differs say by `tell` what is done about it, do it, and verify again.

    So what is no failure is healed too: what a document that changed since explains, and a user who is shown otherwise
    than the user's document says.

    Returns the last verdict. Raises Mismatch where something is wrong afterwards, and Refused before anything is done
    where that would take back more than `allow` actions and more of a source than `reconcile.at_most` allows.
    """
    heard = _Heard()
    with opened(where) as connection:
        try:
            verdict = verify(connection, options=options, terms=replace(terms, listen=partial(heard.listen, terms)))
        except Mismatch:
            if not heard.healable():
                raise
        else:
            del heard.heals[Heal.BACKFILL]  # what changed a moment ago, which the next backfill reads
            if not heard.healable():
                return verdict
        if heard.heals[Heal.RECONCILE]:
            retrying(partial(refuse_too_much, connection.context(), allow, COMMAND))
        for heal in Heal:
            if number := heard.heals[heal]:
                tell(f"repair, for {amount(number, 'mismatch')}: {DOES[heal]}")
        _heal(connection, heard, allow, terms)
        return verify(connection, options=options, terms=terms)


def _heal(connection: Connection, heard: _Heard, allow: int, terms: Terms) -> None:
    everything = heard.heals[Heal.BACKFILL] > 0 or len(heard.users) > REMEMBERED
    scope = Scope(full=everything)
    with runner.started(connection, "backfill", terms, bears=None, scope=scope) as driver:
        if heard.heals[Heal.STEPS]:
            driver.apply([CREATE_COLLECTIONS, CREATE_INDEXES])
        if everything:
            driver.apply([BACKFILL])
    if heard.heals[Heal.RECONCILE]:
        with runner.started(connection, "reconcile", terms) as driver:
            settled(driver, allow)
    with runner.started(connection, "backfill", terms, bears=None) as driver:
        _roll_up(driver, list(heard.users.values()))


def _roll_up(driver: Driver, users: list[Any]) -> None:
    if users:
        driver.carry_out(WORK, partial(_rolled, driver.context, users))


def _rolled(context: Context, users: list[Any]) -> Iterator[Piece]:
    done = 0
    selections = takewhile(lambda _: not context.stopping(), walk.selections(users, USERS_AT_ONCE))
    for came in shared_out(RollUp(context, redone=False), selections):
        if isinstance(came, Held | News):
            yield came.on(Piece("entries", done, len(users), unit="users"))
            continue
        done += len(came[0]["$in"])
        yield Piece("entries", done, len(users), unit="users")
