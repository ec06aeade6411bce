"""What the server is asked about rows of the state: by their ids, for whatever else a row says may be damaged."""

from __future__ import annotations

from lbmigrate.records import Document
from lbmigrate.state.forms import MOST_FENCE
from lbmigrate.state.shapes import SHAPES

LOCKS = ("lock", "lock:tail", "lock:boards")
NO_FENCE: Document = {
    "$or": [
        {"fence": {"$not": {"$gte": 0, "$lte": MOST_FENCE}}},
        *({"fence": {"$type": t}} for t in ("array", "decimal")),
    ]
}
OURS: Document = {"_id": {"$regex": f"^({'|'.join(SHAPES)})(:|$)"}}


def of(kind: str) -> Document:
    """The condition for the rows `<kind>:<name>`: by their ids, for whatever else a row says may be damaged."""
    return {"_id": {"$gte": f"{kind}:", "$lt": f"{kind};"}}


FORGOTTEN: Document = {"$or": [{"_id": "lock"}, of("forgotten")]}  # what `State.forgotten` tells from
