"""Users who have left and whom the state does not know: it was lost, or brought back from before they left.

Their events have tombstones, of which nobody can tell who stands behind them. Whoever of them acts again is back on the
board, so they have to be forgotten again; each who is counts for one of them.
"""

from __future__ import annotations

from pymongo.errors import ExecutionTimeout

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import amount
from lbmigrate.rules.adjustments import FORGOTTEN
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.state import COLLECTION
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user

NEXT = "lbmigrate forget USER, for each who has left since"


def number(context: Context, ms: int | None = None) -> int:
    """How many there are that were not forgotten again. Reads the whole ledger unless `ms` milliseconds end that."""
    leavers = Leavers(context.state)
    asked = lenient(context.target)[EVENTS].find({f"meta.{FORGOTTEN}": True}, {"_id": 0, "userId": 1})
    try:
        rows = asked.max_time_ms(ms) if ms else asked
        found = {plain_id(row["userId"]) for row in rows if names_a_user(row.get("userId"))}
    except ExecutionTimeout:
        return 0
    return max(0, len(found - leavers.known_tombstones()) - leavers.again)


def told(found: int) -> str:
    """What to say of so many; empty for none."""
    if not found:
        return ""
    have = "has a tombstone" if found == 1 else "have tombstones"
    return (
        f"{amount(found, 'user')} {have} in {EVENTS} that {COLLECTION} does not know: it was lost, or is from before"
        " they left, and whoever of them acts again comes back"
    )
