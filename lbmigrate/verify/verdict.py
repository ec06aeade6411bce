"""The verdict: what a verification came to, and whether the cut-over may go by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from lbmigrate import feature_flag
from lbmigrate.config.digest import applied_digest, config_digest
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context, VerifyOptions

FRESH = dt.timedelta(days=1)
FULL = "full"


def asked(context: Context) -> VerifyOptions:
    """What the configuration asks of a verification that may pass the cut-over."""
    rules = context.config.verify
    return VerifyOptions(full=rules.level == FULL, confidence=rules.confidence, max_error=rules.max_error)


def is_current(context: Context) -> bool:
    """Whether a passing verdict covers everything emitted so far, and is fresh where the cut-over waits for it."""
    row, covers = context.state.get("verdict"), context.state.last_emission()
    if feature_flag.read(context.target, context.config).read:
        return bool(row.get("passed")) and row.get("covers") == covers and not is_of_other_rules(context, row)
    return not objection(context)


def objection(context: Context) -> str:
    """Why the verdict does not allow the cut-over; empty when it does."""
    row = context.state.get("verdict")
    if not row:
        return "nothing was verified yet"
    at = f"{row['at'].isoformat(timespec='seconds')}Z"
    reasons = {
        f"the last one, {at}, found {amount(row['mismatches'], 'mismatch')}": not row["passed"] and row["mismatches"],
        f"the last one, {at}, could not look at everything": not row["passed"],
        "the configuration has changed since the last one": is_of_other_rules(context, row),
        "events were added since the last one": row["covers"] != context.state.last_emission(),
        "the last one compared nobody": bool(row["covers"]) and row.get("users") == 0,
        f"the last one is from {at}, more than a day ago": context.clock() - row["at"] > FRESH,
    }
    return next((reason for reason, holds in reasons.items() if holds), "") or _too_little(context, row)


def _too_little(context: Context, row: Document) -> str:
    """Why a verdict says less than the configuration asks for; one of an earlier version says nothing of that."""
    rules, bound = context.config.verify, row.get("bound")
    if "level" not in row or row["level"] == FULL:
        return ""
    if rules.level == FULL:
        return "the last one looked at a sample, and the configuration asks for everything (verify.level)"
    if bound and bound["rate"] > rules.max_error:
        told = f"the last one says no more than {bound['words']}"
        return f"{told}, and the configuration asks for {rules.max_error:g} (verify.max_error)"
    if bound and bound["confidence"] < rules.confidence and bound["checked"] < bound["population"]:
        return f"the last one is sure to {bound['confidence']:g}, and the configuration asks for {rules.confidence:g}"
    return ""


def overtaken(context: Context) -> Iterator[str]:
    """Why the verdict is no longer about what is there, a sentence each."""
    row = context.state.get("verdict")
    if row and is_of_other_rules(context, row):
        yield "the verdict is about another configuration"
    if row and row["covers"] != context.state.last_emission():
        yield "events were added since the last verification"


def is_of_other_rules(context: Context, row: Document) -> bool:
    """Whether a verdict is about another configuration.

    One of an earlier version knows nothing of what is copied from users, or is about the rules of the ledger.
    """
    if "rules" in row:
        return row["rules"] not in (applied_digest(context.config), config_digest(context.config))
    return bool(row) and changed_rules(context)
