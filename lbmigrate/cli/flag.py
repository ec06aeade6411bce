"""The noun of the feature flag: show, write on|off, read on|off."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lbmigrate import commands, feature_flag
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.records import Document

app = new_app(no_args_is_help=True, help="The feature flag: show, write on|off, read on|off.")


class Way(StrEnum):
    """Which way a switch goes."""

    on = "on"
    off = "off"


OnOff = Annotated[Way, typer.Argument(help="on or off")]


@verb(app, "lbmigrate flag show")
def show(this: Invocation) -> None:
    """Show the flag's document."""
    with this.connected() as connection:
        found = feature_flag.find(connection.target, connection.config)
    _show(this, found)


@verb(app, "lbmigrate flag write off")
def write(this: Invocation, way: OnOff) -> None:
    """Turn recording by the app on or off. On is step 3; a run does not turn on again what was turned off."""
    _turn(this, "write", way)


@verb(app, "lbmigrate flag read off")
def read(this: Invocation, way: OnOff) -> None:
    """Turn the board on or off. On is step 6, and as strict; a run does not turn on again what was turned off."""
    _turn(this, "read", way)


def _turn(this: Invocation, side: feature_flag.Side, way: Way) -> None:
    with this.connected(tell=False, at_once=way is Way.off) as connection:
        with this.running() as terms:
            found = commands.turn_flag(connection, side, way is Way.on, terms=terms)
        this.tell_apart(connection)  # afterwards: whoever turns it off wants it off now
    _show(this, found)


def _show(this: Invocation, document: Document) -> None:
    this.console.flag(feature_flag.switches(document), document)
    this.console.result({"verb": "flag", "flag": document})
