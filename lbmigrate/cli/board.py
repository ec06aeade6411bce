"""The verbs that read the board as the app does: top, rank, around."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate.board.board import Board, check_known
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import UsageError
from lbmigrate.mongo.client import retrying

app = new_app()
Who = Annotated[str, typer.Argument(help="The user's id, as in the users collection.")]


@verb(app, "lbmigrate top", "lbmigrate top --period 2025-W44 -n 100")
def top(
    this: Invocation,
    period: options.Period = "global",
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many.")] = 10,
) -> None:
    """Show the top of a period, as the app would read it."""
    with this.connected() as connection:
        board = Board(connection.target, connection.config)
        retrying(lambda: check_known(period, board))
        places = retrying(lambda: board.top(period, n))
    this.console.board(period, places)
    this.console.result({"verb": "top", "period": period, "places": [asdict(place) for place in places]})


@verb(app, "lbmigrate rank 673b9fdd32775c5eec1b5f99 --period 2025-W44")
def rank(this: Invocation, user: Who, period: options.Period = "global") -> None:
    """Show a user's place."""
    with this.connected() as connection:
        board = Board(connection.target, connection.config)
        place = retrying(lambda: board.rank(user, period))
    if place is None:
        raise _nobody(user, period)
    this.console.board(period, [place])
    this.console.result({"verb": "rank", "period": period, "place": asdict(place)})


@verb(app, "lbmigrate around 673b9fdd32775c5eec1b5f99 -n 5")
def around(
    this: Invocation,
    user: Who,
    period: options.Period = "global",
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many on either side.")] = 3,
) -> None:
    """Show a user's place, with the places before and after it."""
    with this.connected() as connection:
        board = Board(connection.target, connection.config)
        places, own = retrying(lambda: (board.around(user, period, n), board.rank(user, period)))
    if own is None:
        raise _nobody(user, period)
    this.console.board(period, places, highlight=own.user)
    this.console.result({"verb": "around", "period": period, "places": [asdict(place) for place in places]})


def _nobody(user: str, period: str) -> UsageError:
    return UsageError(f"user {user!r} is not on the board for {period!r}", hint=f"lbmigrate top --period {period}")
