"""Rows that were edited or damaged, put right by a run: as `judge` reads them, and from then on permanently.

A row that cannot be used goes. Where it was a chunk's, nobody knows what was read any more: its source is read again
from the beginning, and the whole ledger is rolled up after that.
"""

from __future__ import annotations

from pymongo.errors import OperationFailure

from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Checkpoint, Document
from lbmigrate.state.conditions import LOCKS
from lbmigrate.state.judge import examine, judge, shape_of
from lbmigrate.state.rows import State
from lbmigrate.state.shapes import NEXT_RUN, SALT, lost_pass

BY_HAND = {*LOCKS, SALT}  # whoever is at work writes the one again; the other nobody can guess


def repair(state: State) -> list[str]:
    """Put right what runs must be able to trust; what was wrong and what follows, a sentence each.

    Needs the lease. Records of what is done stay as they are, and so do rows that nobody knows. A run whose user may
    not remove rows leaves those that have to go: nothing reads them.
    """
    told = []
    for row in list(state.unsettled()):
        flaws = examine(row)
        if not flaws or shape_of(row) is None or row["_id"] in BY_HAND or not _put_right(state, row):
            continue
        for flaw in flaws:
            state.flaws.pop(str(flaw), None)
            told.append(str(flaw).replace(NEXT_RUN, "this run"))
    state.held.all_written()
    return told


def _put_right(state: State, row: Document) -> bool:
    """Whether the row is right now, or gone."""
    sound, _ = judge(row, ["users"])
    shape = shape_of(row)
    if sound and not (shape and shape.problem(row)):
        _rewrite(state, row, sound)
        return True
    if row["_id"].startswith("chunk:"):
        _begin_anew(state, row["_id"].partition(":")[2].rsplit(":", 3)[0])
    try:
        state.rows.delete_one({"_id": row["_id"], "fence": {"$lte": state.fence}})
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return False
    return True


def _rewrite(state: State, row: Document, sound: Document) -> None:
    kind = {"kind": row["_id"].partition(":")[0]}
    changed = {name: value for name, value in {**sound, **kind}.items() if name not in row or _differ(row[name], value)}
    gone = dict.fromkeys(row.keys() - sound.keys() - {"kind"}, "")
    change = {verb: fields for verb, fields in (("$set", changed), ("$unset", gone)) if fields}
    if change:
        state.rows.update_one({"_id": row["_id"], "fence": {"$lte": state.fence}}, change)


def _differ(one: object, other: object) -> bool:
    return one is not other and one != other


def _begin_anew(state: State, source: str) -> None:
    name = f"watermark:{source}"
    kept = lost_pass(state.get(name))
    number = max(kept["number"], state.last_pass(source))
    state.put(Checkpoint(name, {"value": None, "pass": {**kept, "number": number}}))
