"""By which rules the ledger was scored: kept when it is begun, replaced only by a reconciliation."""

from __future__ import annotations

from lbmigrate.config.digest import config_digest
from lbmigrate.records import Checkpoint
from lbmigrate.run.context import Context
from lbmigrate.state import RULES


def remember_rules(context: Context) -> Checkpoint | None:
    """What to remember when a ledger is begun: the rules in force; None where some are kept already.

    Only a reconciliation may replace those: a backfill under new rules leaves older events as they are.
    """
    return None if context.state.get(RULES) else in_force(context)


def mixed_rules(context: Context) -> Checkpoint | None:
    """What to remember before events are added under other rules: going back to the old ones does not undo that."""
    is_known = context.state.get(RULES).get("mixed")
    return Checkpoint(RULES, {"mixed": True}) if changed_rules(context) and not is_known else None


def changed_rules(context: Context) -> bool:
    """Whether events in the ledger were scored by other rules than those in force."""
    kept = context.state.get(RULES)
    return bool(kept) and (bool(kept.get("mixed")) or kept.get("digest") != config_digest(context.config))


def are_those_of_the_ledger(context: Context) -> bool:
    """Whether the rules in force are those that the ledger was begun with, as far as an earlier version tells.

    That one let a reconciliation replace them although what the old ones had left out was never read.
    """
    since = context.state.get(RULES).get("since")
    replaced = since is not None and context.state.was_running("reconcile", since)
    return not changed_rules(context) and not replaced


def in_force(context: Context) -> Checkpoint:
    """What to remember of the rules in force."""
    return Checkpoint(RULES, {"digest": config_digest(context.config), "since": context.clock(), "mixed": False})
