"""The shape of the leaderboard: collections, indexes, no TTL, and that the board's query runs on its index."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate import schema
from lbmigrate.board.order import Order
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, ENTRIES_BY_MOMENT, ENTRIES_BY_RANK, REJECTS
from lbmigrate.schema.layout import entries_of
from lbmigrate.state import layouts
from lbmigrate.values.excerpts import excerpt
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.result import Mismatch

OPT_OUT = "optOutSnapshot"
MULTIKEY = "multikey"
SHOWN: Document = {"_id": 1, "userId": 1, "score": 1, "rev": 1}


def structure(context: Context) -> Iterator[Mismatch]:
    """What is not as the steps leave it: collections and indexes that are missing, and indexes that do harm."""
    database = context.target
    missing = [name for name in schema.missing_collections(database) if name != REJECTS]
    for name in missing:
        told = f"there is no collection {name}"
        yield Mismatch(Kind.STRUCTURE, name, None, None, None, "", None, name, told, Heal.STEPS)
    for index in schema.missing_indexes(database, layouts.layout(context.state).orders):
        if index.collection not in (REJECTS, *missing):
            told = f"{index.collection} has no index {index.name}"
            yield Mismatch(Kind.STRUCTURE, index.collection, index.name, reason=told, heals=Heal.STEPS)
    for told in schema.differences(database):
        if "validator" not in told:  # which step 1 leaves as it is
            yield Mismatch(Kind.STRUCTURE, told.partition(" ")[0], told.partition(" ")[0], reason=told)


def query(context: Context, period: str, top: int) -> Iterator[Mismatch]:
    """How the first places of a period are found: on the index, with no more documents than it takes, in order."""
    layout = layouts.layout(context.state)
    entries = entries_of(context.target, layout, period)
    order = [("period", 1), *Order(layout.order).sort(-1).items()]
    asked: Document = {"period": period, OPT_OUT: {"$ne": True}}
    rows = list(entries.find(asked, SHOWN).sort(order).limit(top))
    yield from _order(period, [row for row in rows if "rev" in row])  # others may keep theirs beside
    if is_fake(context.target) or not rows:
        return
    command = {"find": entries.name, "filter": asked, "sort": dict(order), "limit": top}
    plan = context.target.command("explain", command, verbosity="executionStats")
    stages = set(_stages(plan["queryPlanner"]["winningPlan"]))
    name = ENTRIES_BY_MOMENT.get(layout.order, ENTRIES_BY_RANK).name
    if MULTIKEY in stages:  # an entry that somebody wrote names several periods: no index serves an order since
        return
    if "IXSCAN" not in stages or "SORT" in stages or "COLLSCAN" in stages:
        told = f"the first of {period} are found by {', '.join(sorted(stages))}, and not on the index {name}"
        yield Mismatch(Kind.QUERY, ENTRIES, name, None, period, "", sorted(stages), "IXSCAN", told, Heal.STEPS)
        return
    examined = plan["executionStats"]["totalDocsExamined"]
    allowed = top + entries.count_documents({"period": period, OPT_OUT: True})
    if examined > allowed:
        told = f"the first {top} of {period} take {amount(examined, 'document')}, and {allowed:,} would do"
        yield Mismatch(Kind.QUERY, ENTRIES, name, None, period, "", examined, allowed, told)


def _stages(plan: Document) -> Iterator[str]:
    """The stages of a plan, also of one that a newer engine runs."""
    if "queryPlan" in plan:
        yield from _stages(plan["queryPlan"])
        return
    if "stage" in plan:
        yield str(plan["stage"])
    if plan.get("isMultiKey"):
        yield MULTIKEY
    for inner in [plan.get("inputStage"), *plan.get("inputStages", ()), *plan.get("shards", ())]:
        if isinstance(inner, dict):
            yield from _stages(inner.get("winningPlan", inner))


def _order(period: str, rows: list[Document]) -> Iterator[Mismatch]:
    """That scores are numbers that never grow from one place to the next, and nobody stands there twice."""
    above: float | None = None
    seen: set[str] = set()
    for row in rows:
        score = row.get("score")
        told = ""
        if not isinstance(score, int | float) or isinstance(score, bool) or score != score:  # noqa: PLR0124  a NaN
            told = f"{excerpt(row['_id'])} stands among the first of {period} with the score {excerpt(score)}"
        elif above is not None and score > above:
            told = f"{excerpt(row['_id'])} stands below a smaller score in {period}"
        elif repr(row.get("userId")) in seen:
            told = f"user {row.get('userId')} stands twice among the first of {period}"
        else:
            above = score
        seen.add(repr(row.get("userId")))
        if told:
            yield Mismatch(
                Kind.ORDER, ENTRIES, row["_id"], row.get("userId"), period, "score", score, above, told, Heal.ROLL_UP
            )
