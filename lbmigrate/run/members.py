"""The members of a replica set: how each stands, and which of them a run waits for.

It waits for those that vote, for a majority of them makes a write durable, and for those that clients may read from.
It does not wait for what waiting cannot help: a member that is behind on purpose, one that has not been heard of for a
while, and one that `throttle.ignore_members` names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.records import Document

STANDALONE = 76  # NoReplicationEnabled
OUT_OF_SERVICE = dt.timedelta(minutes=1)  # of silence, after which a member is not waited for any more


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `behind` is None where it holds no data or does not say; `silent` is since it was last heard of."""

    name: str
    state: str
    answers: bool
    behind: dt.timedelta | None
    silent: dt.timedelta
    gone: bool = False  # its host says that nobody is there
    votes: bool = True
    shown: bool = True  # to clients
    delay: dt.timedelta = dt.timedelta(0)
    ignored: bool = False

    @property
    def holds_data(self) -> bool:
        return self.state != "ARBITER"

    @property
    def ready(self) -> bool:
        return self.answers and self.state in ("PRIMARY", "SECONDARY")

    @property
    def out_of_service(self) -> bool:
        return not self.answers and (self.gone or self.silent >= OUT_OF_SERVICE)

    @property
    def counts(self) -> bool:
        """Whether a run waits for it."""
        if not self.holds_data or self.ignored or self.delay or self.out_of_service:
            return False
        return self.votes or (self.shown and self.ready)

    def objection(self, most: dt.timedelta) -> str:
        """Why a run waits for it now; empty when it need not."""
        if not self.counts:
            return ""
        if not self.ready:
            return f"{self.name} is {self.state if self.answers else 'not reachable'}"
        late = self.behind is not None and self.behind > most
        return f"{self.name} is {self.behind.total_seconds():.0f} s behind" if self.behind and late else ""


def members(database: Database[Any], ignored: Collection[str] = ()) -> list[Member]:
    """The members as the server that answers sees them; none of a standalone server.

    Needs the rights replSetGetStatus and replSetGetConfig; without the second every member counts as one that votes.
    """
    admin = database.client.admin
    try:
        status = admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == STANDALONE:
            return []
        raise
    try:
        settings = admin.command("replSetGetConfig").get("config", {}).get("members", [])
    except OperationFailure:
        settings = []
    by_name = {each["host"]: each for each in settings}
    unwanted = {name.lower() for name in ignored}
    newest = max(each["optimeDate"] for each in status["members"] if "optimeDate" in each)
    return [_member(each, by_name.get(each["name"], {}), status, newest, unwanted) for each in status["members"]]


def _member(
    told: Document, settings: Document, status: Document, newest: dt.datetime, unwanted: Collection[str]
) -> Member:
    heard, at = told.get("lastHeartbeatRecv"), told.get("optimeDate")
    delay = settings.get("secondaryDelaySecs") or settings.get("slaveDelay")  # the second is what 4.4 calls it
    return Member(
        name=told["name"],
        state=told["stateStr"],
        answers=told["health"] == 1,
        behind=newest - at if at and told["stateStr"] != "ARBITER" else None,
        silent=status["date"] - heard if heard and "date" in status else dt.timedelta(0),
        gone="Connection refused" in told.get("lastHeartbeatMessage", ""),
        votes=bool(settings.get("votes", 1)),
        shown=not settings.get("hidden", False),
        delay=dt.timedelta(seconds=delay or 0),
        ignored=told["name"].lower() in unwanted,
    )


def survives(found: Collection[Member]) -> bool:
    """Whether a majority is left, for elections and for writes, when any one member is gone."""
    voting = [each for each in found if each.votes]
    prompt = [each for each in voting if each.holds_data and not each.delay]
    return len(voting) - 1 >= len(voting) // 2 + 1 and len(prompt) - 1 >= _acknowledging(voting)


def has_majority(found: Collection[Member]) -> bool:
    """Whether a write comes to a majority as things stand."""
    voting = [each for each in found if each.votes]
    return sum(each.holds_data and each.ready and not each.delay for each in voting) >= _acknowledging(voting)


def _acknowledging(voting: Collection[Member]) -> int:
    """How many must have a write: a majority of those that vote, or all that hold data where they are fewer."""
    return min(len(voting) // 2 + 1, sum(each.holds_data for each in voting))
