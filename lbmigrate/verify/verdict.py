"""The verdict: what a verification came to, and whether the cut-over may go by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from lbmigrate import feature_flag, schema
from lbmigrate.config.digest import applied_digest, config_digest
from lbmigrate.ledger import unknown_leavers
from lbmigrate.ledger.odd import LOOKING_MS, odd_events
from lbmigrate.ledger.odd import ROW as ODD_ROW
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.passes import likely
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.changed import way
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.passes.watermark import SETTLE, to_be_read_again
from lbmigrate.records import LARGEST_SCORE, Document, amount
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.schema import ENTRIES, EVENT, EVENTS, REJECTS
from lbmigrate.values.limits import named
from lbmigrate.verify.conserve import is_summed
from lbmigrate.verify.departed import TOLD, everybody_left

FRESH = dt.timedelta(days=1)
FULL = "full"


def complaints(context: Context) -> list[str]:
    """What is wrong whatever the numbers say: nothing there where there should be.

    And history that the rules in force have not read: entries agree with a ledger that lacks it.
    """
    wrong = unread(context)
    if is_empty(context) and not everybody_left(context):
        for source in context.config.sources:
            if context.sources[source.collection].find_one(source.where, {"_id": 1}) is not None:
                told = f"{EVENTS} is empty, but {source.collection} has documents in scope"
                wrong.append("; ".join(filter(None, [told, why_none_counts(context)[0]])))
    return wrong


def is_empty(context: Context) -> bool:
    """Whether the ledger has no event of a migration."""
    return context.target[EVENTS].find_one(EVENT, {"_id": 1}) is None


def why_none_counts(context: Context) -> tuple[str, str]:
    """Why documents in scope came to no event, as far as that is known, and what ends it; empty where it is not."""
    if reject := context.target[REJECTS].find_one({}, {"reason": 1}):
        number = amount(context.target[REJECTS].estimated_document_count(), "document")
        told = f"{number} could not be scored, such as: {reject['reason']}"
        return told, "correct the mapping (lbmigrate rejects, lbmigrate doctor), then: lbmigrate run"
    here = beginning(context)
    return (str(here), here.earlier) if here else ("", "")


def unread(context: Context) -> list[str]:
    """The sources that are to be read again, each with the reason and the command that does it."""
    command = way(context, SETTLE)
    return [f"{told}; next: {command}" for told in to_be_read_again(context)]


def empty_board(context: Context) -> str:
    """Why nobody would be on the board although the sources hold documents; empty where somebody is, or they do not.

    A source whose documents all miss its `where` is a mistyped filter far more often than an app without a history.
    """
    if context.scope.share < 1 or not is_empty(context):
        return ""
    present = schema.present_collections(context.sources)
    if everybody_left(context):
        return ""
    for source in context.config.sources:
        if source.collection in present and context.sources[source.collection].find_one({}, {"_id": 1}) is not None:
            told = f"{EVENTS} is empty, and {source.collection} is not; its documents are to meet {source.where}"
            why = likely.reason(context, source)
            return f"{told}; {why}" if why else told
    return ""


def warnings(context: Context, full: bool = True) -> list[str]:
    """What is odd and spoils nothing.

    Events that count for nobody and that no reconciliation has seen to; scores that no entry can hold. Of a ledger
    that is too large to be added up only a `full` verification reads every event for that.
    """
    found = odd_events(context.target, kind_of_users(context), None if full or is_summed(context) else LOOKING_MS)
    told = [f"{found}; next: lbmigrate reconcile"] if found.count > context.state.get(ODD_ROW).get("count", 0) else []
    told += [TOLD] if everybody_left(context) else []
    told += [f"{unknown}; next: {unknown_leavers.NEXT}"] if (unknown := _unknown(context)) else []
    beyond = [{"period": "global", "score": {"$gte": LARGEST_SCORE}}, {"period": "global", "score": -LARGEST_SCORE}]
    entries = [entry for each in beyond for entry in context.target[ENTRIES].find(each, {"userId": 1}).limit(5)]
    told += [f"the points of user {named(e['userId'])} add up to more than a score can hold" for e in entries]
    return told


def _unknown(context: Context) -> str:
    return unknown_leavers.told(unknown_leavers.number(context))


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
