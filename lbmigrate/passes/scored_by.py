"""By which rules the ledger was scored, and the entries were made: kept when it is begun, replaced when it is settled.

What settles it is a reconciliation. Of rules that entries alone depend on a full backfill does so as well.
"""

from __future__ import annotations

from lbmigrate.config.digest import applied_rules, config_digest
from lbmigrate.records import Checkpoint, Document
from lbmigrate.run.context import Context
from lbmigrate.state import RULES
from lbmigrate.state.runs import was_running

MIXED = "mixed"  # in the place of a digest: things were made by more than one rule
OF_ENTRIES = frozenset({"periods", "users", "users.timezone", "day_starts"})  # parts that no event depends on


def remember_rules(context: Context) -> Checkpoint | None:
    """What to remember when a ledger is begun: the rules in force; None where some are kept already.

    Only a reconciliation may replace those: a backfill under new rules leaves older events as they are.
    """
    return None if context.state.get(RULES) else in_force(context)


def mixed_rules(context: Context) -> Checkpoint | None:
    """What to remember before events are added under other rules: going back to the old ones does not undo that.

    A row that an earlier version wrote gets the digests of the parts, where all of them are those in force.
    """
    then, changed = kept_parts(context), changed_rules(context)
    fields: Document
    if then:
        mixed = dict.fromkeys(changed_parts(context), MIXED)
        fields = {} if then == then | mixed else _with(then, mixed)
    else:
        fields = {} if changed else {"rules": applied_rules(context.config)}
    fields |= {"mixed": True} if changed and not context.state.get(RULES).get("mixed") else {}
    return Checkpoint(RULES, fields) if fields else None


def changed_rules(context: Context) -> bool:
    """Whether events in the ledger were scored by other rules than those in force."""
    kept = context.state.get(RULES)
    return bool(kept) and (bool(kept.get("mixed")) or kept.get("digest") != config_digest(context.config))


def kept_parts(context: Context) -> dict[str, str]:
    """The digests of the parts of the configuration (`applied_rules`) that are kept; none where there are none yet."""
    kept = context.state.get(RULES).get("rules")
    return kept if isinstance(kept, dict) else {}


def changed_parts(context: Context) -> set[str]:
    """The names of those that are others now; none where none are kept."""
    then, now = kept_parts(context), applied_rules(context.config)
    return {name for name in then | now if then.get(name) != now.get(name)} if then else set()


def is_settled(context: Context) -> bool:
    """Whether all that there is was made by the rules in force."""
    return not changed_rules(context) and not changed_parts(context)


def are_those_of_the_ledger(context: Context) -> bool:
    """Whether the rules in force are those that the ledger was begun with, as far as an earlier version tells.

    That one let a reconciliation replace them although what the old ones had left out was never read.
    """
    since = context.state.get(RULES).get("since")
    replaced = since is not None and was_running(context.state, "reconcile", since)
    return not changed_rules(context) and not replaced


def in_force(context: Context) -> Checkpoint:
    """What to remember of the rules in force."""
    digest, parts = config_digest(context.config), applied_rules(context.config)
    return Checkpoint(RULES, {"digest": digest, "rules": parts, "since": context.clock(), "mixed": False})


def entries_in_force(context: Context) -> Checkpoint | None:
    """What to remember when the entries of everyone were rebuilt; None where they were made by the same rules."""
    changed = changed_parts(context)
    if not changed & OF_ENTRIES:
        return None
    mixed = context.state.get(RULES).get("mixed")
    if changed <= OF_ENTRIES and not mixed:
        return in_force(context)
    now = applied_rules(context.config)
    return Checkpoint(RULES, _with(kept_parts(context), {name: now[name] for name in changed & OF_ENTRIES}))


def _with(then: dict[str, str], digests: dict[str, str]) -> Document:
    """The parts with other digests, written as a whole: a name may have a dot, which a server takes for a path."""
    return {"rules": then | digests}
