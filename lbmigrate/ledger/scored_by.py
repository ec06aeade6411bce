"""By which rules the ledger was scored: kept when it is begun, replaced only by a reconciliation."""

from __future__ import annotations

from lbmigrate.config.load import config_digest
from lbmigrate.records import Checkpoint
from lbmigrate.run.context import Context

RULES = "watermark::rules"  # a watermark, so that it goes with the events; no source has an empty name


def remember_rules(context: Context) -> Checkpoint | None:
    """What to remember when a ledger is begun: the rules in force; None where some are kept already.

    Only a reconciliation may replace those: a backfill under new rules leaves older events as they are.
    """
    return None if context.state.get(RULES) else in_force(context)


def changed_rules(context: Context) -> bool:
    """Whether events in the ledger were scored by other rules than those in force."""
    kept = context.state.get(RULES)
    return bool(kept) and kept.get("digest") != config_digest(context.config)


def in_force(context: Context) -> Checkpoint:
    """What to remember of the rules in force."""
    return Checkpoint(RULES, {"digest": config_digest(context.config), "since": context.clock()})
