"""The verb that helps a run from another host: worker."""

from __future__ import annotations

from dataclasses import asdict

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.records import amount

app = new_app()


@verb(app, "lbmigrate worker")
def worker(this: Invocation) -> None:
    """Join the run that is going on, from this host or another: take chunks from it, and end with it.

    Start as many as the host has cores to spare. The configuration and the version must be those of the run.
    """
    with this.connected() as connection, this.running() as terms:
        done = commands.work(connection, terms=terms, tell=this.console.note)
    told = f"{amount(done.tasks, 'task')}, {amount(done.documents, 'document')} read"
    this.console.note(f"left run {done.run}: {told}; next: lbmigrate status")
    this.console.result({"verb": "worker", **asdict(done)})
