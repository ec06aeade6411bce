"""The noun of documents that could not be scored: groups (or no verb at all), list, show, retry."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import Noun, new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.records import amount

Reason = Annotated[
    str, typer.Option("--reason", envvar="LBMIGRATE_REASON", help="Only those whose reason has these words.")
]
Number = Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many.")]


class Rejects(Noun):
    """Plain `rejects` is `rejects groups`."""

    alone = "groups"


app = new_app(cls=Rejects, help="Documents that could not be scored: groups (or no verb at all), list, show, retry.")


@verb(app, "lbmigrate rejects", "lbmigrate rejects --json")
def groups(this: Invocation, n: Number = 20) -> None:
    """Show what is wrong with documents that could not be scored: each reason, how many, and one example."""
    with this.connected() as connection:
        found = commands.reject_groups(connection)
        rows = commands.rejects(connection, n)
    total = sum(group.documents for group in found)
    this.console.reject_groups(found[:n], total, len(found))
    told = {"total": total, "groups": [asdict(group) for group in found], "rejects": rows}
    this.console.result({"verb": "rejects", **told})


@verb(app, 'lbmigrate rejects list -n 100 --reason "durationSec is missing"', name="list")
def list_(this: Invocation, n: Number = 20, reason: Reason = "") -> None:
    """Show the documents one by one, newest first, each with its id and the reason."""
    with this.connected() as connection:
        rows = commands.rejects(connection, n, reason=reason)
    this.console.rejects(rows)
    this.console.result({"verb": "rejects list", "rejects": rows})


@verb(app, "lbmigrate rejects show 68a795ad0d34ae19a4274864")
def show(this: Invocation, name: Annotated[str, typer.Argument(help="The id of the document.")]) -> None:
    """Show one document that could not be scored: why, when, and what its fields hold now."""
    with this.connected() as connection:
        found = commands.show_reject(connection, name)
    for each in found:
        this.console.reject(each.row, each.fields)
    this.console.result({"verb": "rejects show", "rejects": [asdict(each) for each in found]})


@verb(app, 'lbmigrate rejects retry --reason "durationSec is missing"', works=True)
def retry(
    this: Invocation,
    reason: Reason = "",
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Score them once more, all or those with one reason; nothing else is read.

    What a correction of the configuration or of the documents has made right is on the board afterwards.
    """
    with this.connected(tell=False) as connection, this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
        found = commands.retry_rejects(connection, reason=reason, terms=terms)
    scored = found.tried - found.left
    told = f"{_are(scored)} none any more, {_are(found.left)} left"
    this.console.note(f"of {amount(found.tried, 'reject')} {told}")
    this.console.result({"verb": "rejects retry", **asdict(found)})


def _are(number: int) -> str:
    return f"{number:,} {'is' if number == 1 else 'are'}"
