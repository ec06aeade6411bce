"""How hard a run works, when it holds back or stops, and how long an app waits.

The parts `backfill`, `reconcile`, `throttle`, `verify` and `live` of a file.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lbmigrate.config.base import Model
from lbmigrate.config.types import SHOWN, Blank, Duration, Moment, ReadPreference


class Backfill(Model):
    """How the backfill reads: documents a chunk, worker threads, and how late a writer may be.

    A chunk has at most `chunk_size` documents, and fewer where so many take longer than `target`, if that is not
    null, or where a pass has not that many for each worker. `attempts` are for passing faults; more than
    `failing_share` of documents that cannot be read or written stop the run. Actions further ahead of the clock than
    `future` are kept, but counted and told; those further ahead than `future_limit` are rejected, with null there
    none. Actions before `since` are left out, by every backfill; so long ago (`6mo`) is counted from the day of the
    first one.
    """

    since: Moment | None = None
    chunk_size: int = Field(default=10_000, ge=1, le=1_000_000)
    workers: int = Field(default=2, ge=1, le=64)
    lag: Duration = dt.timedelta(days=1)
    future: Duration = dt.timedelta(minutes=5)
    future_limit: Duration | None = dt.timedelta(days=2)
    target: Duration | None = dt.timedelta(seconds=5)
    attempts: int = Field(default=5, ge=1, le=100)
    failing_share: float = Field(default=0.2, gt=0, le=1)
    read_preference: ReadPreference = "primary"

    def latest(self, now: dt.datetime) -> dt.datetime | None:
        """The last moment at which an action may have happened; None where there is no limit."""
        return None if self.future_limit is None else now + self.future_limit


def _share(value: Any) -> Any:
    """`5 %`, `5%` and `0.05` say the same."""
    if not isinstance(value, str) or "%" not in value:
        return value
    try:
        return float(value.strip().removesuffix("%").strip()) / 100
    except ValueError as error:
        raise ValueError(f"{value[:SHOWN]!r} is not a valid share; write 5 % or 0.05") from error


Share = Annotated[float, BeforeValidator(_share, json_schema_input_type=str | float), Field(ge=0, le=1)]


class Reconcile(Model):
    """How much of the actions, or of the points, of a source may be taken back before somebody agrees to the number."""

    at_most: Share = 0.05


class Throttle(Model):
    """When a run holds back: what the server says, a file, and how much of the time it may work at all.

    Nobody waits for the members of a replica set that `ignore_members` names, as `rs.conf()` does (`host:port`).

    `nice` is the rest after a chunk as a share of the time that the chunk took; null turns a signal off. A run that the
    server has held for `give_up` ends with work left; null waits for ever. What people hold, they let go on themselves.
    """

    max_lag: Duration | None = dt.timedelta(seconds=10)
    ignore_members: tuple[str, ...] = ()
    max_queue: Annotated[int, Field(ge=0)] | None = 100
    latency_factor: Annotated[float, Field(gt=1)] | None = 5.0
    flag_file: Blank = None
    give_up: Duration | None = dt.timedelta(hours=2)
    nice: float = Field(default=0.0, ge=0, le=100)
    documents_per_second: Annotated[float, Field(gt=0)] | None = None


class Verify(Model):
    """Which verification may pass the cut-over: at least of this `level`, and for a sample how sure it must be.

    A sample is as large as it takes to say, with `confidence`, that fewer than `max_error`, a share, are wrong.
    """

    level: Literal["sample", "full"] = "sample"
    confidence: Annotated[float, Field(ge=0.5, le=0.999999)] = 0.95
    max_error: Annotated[float, Field(gt=0, le=0.5)] = 0.01


class Live(Model):
    """How long a `ScoreRecorder` may keep the app waiting for one action; what takes longer the next backfill adds.

    `deleted` is what `tail` does with points whose document is deleted: some apps clear old ones.
    """

    budget: Annotated[Duration, Field(gt=dt.timedelta(0))] = dt.timedelta(milliseconds=500)
    deleted: Literal["take_back", "keep"] = "take_back"
