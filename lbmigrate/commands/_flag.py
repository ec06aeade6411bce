"""The verb for the feature flag: its two switches, each of which is a step of the migration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymongo.errors import WTimeoutError

from lbmigrate import feature_flag
from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError, Locked
from lbmigrate.feature_flag import Side
from lbmigrate.ledger.binding import ANY_OF_OURS
from lbmigrate.migration import runner
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import CUT_OVER, DUAL_WRITE
from lbmigrate.records import Document, Work
from lbmigrate.run.connection import Connection, opened

if TYPE_CHECKING:
    from lbmigrate.migration.steps.switches import Switch

STEPS_OF = {"write": DUAL_WRITE, "read": CUT_OVER}


def turn_flag(where: Config | Connection, side: Side, on: bool, *, terms: Terms = Terms()) -> Document:
    """Turn `write` or `read` on or off; the flag's document.

    On is that step of the migration, and as strict. Off takes effect at once, also while a run holds the lock, and
    stays: a run asks before it turns it on again.
    """
    with opened(where, at_once=not on) as connection:
        if on:
            _on(connection, side, terms)
        else:
            _off(connection, side, terms)
        return feature_flag.find(connection.target, connection.config)


def _on(connection: Connection, side: Side, terms: Terms) -> None:
    connection.refuse_untouched()
    with runner.started(connection, f"flag {side} on", terms, confirmed=True) as driver:
        driver.apply([STEPS_OF[side]])


def _off(connection: Connection, side: Side, terms: Terms) -> None:
    context, switch = connection.context(), STEPS_OF[side].SWITCH
    # Before anything that may have to wait: whoever turns it off wants it off now.
    try:
        feature_flag.turn(context.target, context.config, side, False, context.clock())
    except WTimeoutError as error:
        told = f"{side} is off on the primary, where apps ask, but no majority has that yet: a failover may undo it"
        hint = f"lbmigrate doctor names the members; then again: lbmigrate flag {side} off"
        raise LbmigrateError(told, hint) from error
    if connection.is_untouched():
        return
    verb = f"flag {side} off"
    try:
        with runner.started(connection, verb, terms, bears=ANY_OF_OURS) as driver:
            _record(driver, switch, verb)
    except Locked:  # the run that holds the lock will find it off, and not turn it on
        beside = connection.context(run=runner.new_run(), state=connection.state.unfenced())
        with runner.recorded(beside, None, verb, terms.command or f"lbmigrate {verb}"):
            _record(Driver(beside, listen=terms.listen), switch, verb)


def _record(driver: Driver, switch: Switch, verb: str) -> None:
    driver.carry_out(Work(verb), partial(switch.turn_off, driver.context))
