"""Where entries are: in which collections, over which shards, and which periods are out of the database."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo.errors import PyMongoError

from lbmigrate.checks.finding import Finding
from lbmigrate.ledger import moving, sharding
from lbmigrate.mongo.shards import is_router
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.state import layouts


def findings(context: Context) -> Iterator[Finding]:
    """What is not where the configuration wants it, or on one shard of several; what was archived."""
    if told := moving.pending(context):
        fact = (
            f"layout: {context.config.layout} is configured, and entries are in other collections: a run would {told}"
        )
        yield Finding("warning", "layout", fact, "lbmigrate run")
    if archived := sorted(layouts.layout(context.state).archived):
        fact = f"{amount(len(archived), 'period')} archived, {archived[0]} to {archived[-1]}"
        yield Finding("ok", "layout", f"{fact}: their boards are empty until lbmigrate boards restore DIR")
    yield from _shards(context)


def _shards(context: Context) -> Iterator[Finding]:
    """What of ours is not spread over the shards of a cluster, with the commands that do it."""
    if not is_router(context.target):
        return
    try:
        lines = sharding.lines(context.target)
    except PyMongoError:
        fact = "whether collections are sharded may not be asked"
        yield Finding("warning", "shards", fact, "give the user the role clusterMonitor")
        return
    if lines:
        fact = f"{amount(len(lines) - 1, 'collection')} of the leaderboard not sharded: all of it is on one shard"
        yield Finding("warning", "shards", fact, f"lbmigrate run --shard, or: {'; '.join(lines)}")
    else:
        yield Finding("ok", "shards", "every collection of the leaderboard is sharded")
