"""The steps that are a switch of the feature flag: what somebody turned off stays off until a person agrees.

It may be turned off with `lbmigrate flag`, or by hand in the flag's document; either way a run asks first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from lbmigrate import feature_flag
from lbmigrate.feature_flag import Side
from lbmigrate.ledger.begin_anew import has_lost_flag
from lbmigrate.records import Checkpoint, Piece
from lbmigrate.run.context import Context
from lbmigrate.state.operator import operator
from lbmigrate.state.statuses import StepStatus

STAMPS = ("finishedAt", "at")  # of a step's row: when we last had a hand in it


@dataclass(frozen=True, slots=True)
class Switch:
    """One side of the flag, and the step that turns it on."""

    number: int
    name: str
    side: Side

    def is_on(self, context: Context) -> bool:
        return bool(getattr(feature_flag.read(context.target, context.config), self.side))

    def pending(self, context: Context) -> Iterator[str]:
        """What a run would do, and whether it would ask first."""
        if not self.is_on(context):
            off = self.turned_off(context)
            yield f"turn {self.side} on in {context.config.flag.collection}" + (
                f"; {off}: a run asks first" if off else ""
            )

    def turn_off(self, context: Context) -> Iterator[Piece]:
        """Turn it off, and remember who wanted that."""
        now = context.clock()
        feature_flag.turn(context.target, context.config, self.side, False, now)
        status = self._status(context).to(StepStatus.OFF)
        who = {"number": self.number, "name": self.name, "status": status, "by": operator(), "at": now}
        yield Piece("flag", note=f"{self.side} is off", checkpoint=Checkpoint(f"step:{self.number}", who))

    def turned_off(self, context: Context) -> str:
        """Who turned it off since it was applied, in a sentence; empty where nobody did."""
        status = self._status(context)
        if status not in (StepStatus.APPLIED, StepStatus.OFF) or self.is_on(context):
            return ""
        if status is StepStatus.APPLIED and has_lost_flag(context):
            return ""
        if status is StepStatus.APPLIED and not feature_flag.find(context.target, context.config):
            return f"{self.side} is off, for the flag is gone from {context.config.flag.collection}"
        if status is StepStatus.APPLIED:
            return f"{self.side} was turned off {_by_hand(context)}"
        row = context.state.step(self.number)
        when = f" at {row['at']:%Y-%m-%dT%H:%M:%SZ}" if "at" in row else ""
        return f"{self.side} was turned off by {row.get('by', 'somebody')}{when}"

    def _status(self, context: Context) -> StepStatus:
        return StepStatus(context.state.step(self.number).get("status", StepStatus.NEW))


def _by_hand(context: Context) -> str:
    """Who changed the flag's document beside us: as it says itself, if that is newer than all that we did."""
    flag = feature_flag.find(context.target, context.config)
    at, ours = (
        flag.get("updatedAt"),
        [row[name] for row in context.state.of_kind("step") for name in STAMPS if name in row],
    )
    if isinstance(at, dt.datetime) and flag.get("updatedBy") and ours and at > max(ours):
        return f"by {flag['updatedBy']} at {at:%Y-%m-%dT%H:%M:%SZ}"
    return "by somebody, in the flag's document"
