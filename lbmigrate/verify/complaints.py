"""What is wrong or odd beside the comparisons: nothing where something should be, history that was not read."""

from __future__ import annotations

from lbmigrate import schema
from lbmigrate.ledger import unknown_leavers
from lbmigrate.ledger.odd import LOOKING_MS, odd_events
from lbmigrate.ledger.odd import ROW as ODD_ROW
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.passes import likely
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.changed import way
from lbmigrate.passes.watermark import SETTLE, to_be_read_again
from lbmigrate.records import LARGEST_SCORE, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENT, EVENTS, REJECTS
from lbmigrate.values.limits import named
from lbmigrate.verify.conserve import is_summed
from lbmigrate.verify.departed import TOLD, everybody_left


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
