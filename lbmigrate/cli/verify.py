"""The verb that proves: verify."""

from __future__ import annotations

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb

app = new_app()


@verb(app, works=True)
def verify(
    this: Invocation,
    sample: options.Sample = None,
    full: options.Full = False,
    top: options.Top = None,
    seed: options.Seed = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Compare entries with sums that the server makes from the ledger.

    Exits 5 on a mismatch.
    """
    chosen = options.verify_options(sample, top, seed, full)
    with this.connected(tell=False) as connection:
        try:
            with this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
                commands.verify(connection, options=chosen, terms=terms)
        finally:  # also of a verification that failed: its verdict says what differs
            found = {} if connection.is_untouched() else connection.state.get("verdict")
            this.console.verdict(found)
            this.console.result({"verb": "verify", "verdict": found})
