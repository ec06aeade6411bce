"""The kinds of mismatches, and what heals them."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is wrong, in a word; `MEANING` has the sentence."""

    MISSING = "missing"
    EXTRA = "extra"
    SCORE = "score"
    COUNT = "count"
    NEWEST = "newest event"
    STREAK = "streak"
    REACHED = "score reached"
    SNAPSHOT = "snapshot"
    ORDER = "order"
    ORPHAN_EVENT = "orphan event"
    UNSCORED_SOURCE = "unscored source"
    WRONG_POINTS = "wrong points"
    WRONG_TIME = "wrong time"
    WRONG_USER = "wrong user"
    DUPLICATE_ACTION = "duplicate action"
    TYPE = "type"
    STRUCTURE = "structure"
    QUERY = "query"
    HISTORY = "history"


MEANING: dict[Kind, str] = {
    Kind.MISSING: "the ledger has events for which there is no entry",
    Kind.EXTRA: "an entry for which the ledger has no events",
    Kind.SCORE: "the score is not the sum of the events",
    Kind.COUNT: "the entry counts another number of events than there are",
    Kind.NEWEST: "the entry names another time of the newest event",
    Kind.STREAK: "the streak is not that of the days with events",
    Kind.REACHED: "the entry has had its score since another moment",
    Kind.SNAPSHOT: "name, avatar or opt-out differ from the user's document",
    Kind.ORDER: "the board's query gives another order than the scores",
    Kind.ORPHAN_EVENT: "an event counts, and no source document or no user is behind it",
    Kind.UNSCORED_SOURCE: "a source document is in scope, and the ledger has no event of it",
    Kind.WRONG_POINTS: "the ledger has other points for an action than the rules give its source",
    Kind.WRONG_TIME: "the ledger has another time for an action than its source",
    Kind.WRONG_USER: "the ledger has another user for an action than its source",
    Kind.DUPLICATE_ACTION: "one action counts more than once",
    Kind.TYPE: "a field is of another type than it must be",
    Kind.STRUCTURE: "a collection, an index or a validator is not as it must be",
    Kind.QUERY: "the board's query does not run on its index",
    Kind.HISTORY: "the state says that the ledger lacks a part of its history",
}


class Heal(StrEnum):
    """What heals a mismatch: steps 1 and 2 once more, a backfill, a reconciliation, or a roll-up of its user.

    `PERSON` stands for what no command of ours does.
    """

    STEPS = "steps"
    BACKFILL = "backfill"
    RECONCILE = "reconcile"
    ROLL_UP = "roll-up"
    PERSON = "person"
