"""Collections of single periods: made with their validator and indexes before the first entry is put into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate import schema
from lbmigrate.config.model import Config
from lbmigrate.errors import Refused
from lbmigrate.mongo import indexes
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.rules.periods import EPOCH, label
from lbmigrate.run.context import Context, utc_now
from lbmigrate.schema.layout import partition
from lbmigrate.state import layouts
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.zones import FIRST, LAST, tzinfo_of

AHEAD = 8  # days, so that a weekly backfill is enough


def open_partitions(database: Database[Any], names: Iterable[str], orders: Sequence[str]) -> list[str]:
    """Make those of these collections that are not there; their names. Of two who race the second changes nothing."""
    wanted = [name for name in names if name != schema.ENTRIES]
    if not wanted:
        return []
    present = set(database.list_collection_names(filter={"name": {"$in": wanted}}))
    missing = [name for name in wanted if name not in present]
    for name in missing:
        _make(database, name, orders)
    return missing


def _make(database: Database[Any], name: str, orders: Sequence[str]) -> None:
    try:
        schema.create_collection(database, name)
        indexes.build(database, name, [index.spec for index in schema.indexes_of(name, orders)])
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        told = f"{name} is not there, and this database user may not make it: {hidden(str(error))[:200]}"
        raise Refused(told, "lbmigrate backfill, by a user who may: runbooks/partitions.md") from error


def open_ahead(context: Context) -> list[str]:
    """Make the collections of the periods of today and the next days, for an app whose user may not make any."""
    layout, near = layouts.layout(context.state), near_periods(context.config, context.clock())
    return open_partitions(context.target, [partition(each) for each in near if layout.has_own(each)], layout.orders)


def near_periods(config: Config, now: dt.datetime | None = None) -> list[str]:
    """The periods of today and the next days that may have collections of their own; `now` is naive UTC."""
    at = (now or utc_now()).replace(tzinfo=dt.UTC)
    here = at.astimezone(tzinfo_of(config.timezone)).replace(tzinfo=None)
    utc = at.replace(tzinfo=None)
    clocks = (utc + LAST, utc + FIRST) if config.users.timezone else (here,)
    todays = [((each - config.day_begins).date() - EPOCH).days for each in clocks]
    days = range(todays[0], todays[-1] + AHEAD)
    return list(dict.fromkeys(label(kind, day) for kind in config.periods if kind != "global" for day in days))
