"""What a recorder still knows of a user's ledger, so that the next action need not read all of it again.

The ledger only grows. So what was known of a user before an event was inserted, and that event, are the whole ledger if
it holds exactly one event more. Whatever else was inserted meanwhile shows in that count, which an index answers alone;
then everything is read. Only a rollback removes events, and it is a run: what was known under another fence is dropped,
and while a run goes on nothing is learnt and nothing recalled.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from lbmigrate.ledger import rollup
from lbmigrate.ledger.people import People
from lbmigrate.records import Document
from lbmigrate.rules import ranking
from lbmigrate.rules.clocks import Clocks
from lbmigrate.rules.ranking import Sums
from lbmigrate.schema import EVENTS

USERS = 500  # a year of active days is about 20 kB


@dataclass(frozen=True, slots=True)
class Known:
    """A user's days under a fence and by some clocks, when the ledger had so many documents of the user."""

    fence: int
    count: int
    days: Sums
    clocks: Clocks

    def fits(self, clocks: Clocks, moments: bool) -> bool:
        """Whether the days are by these clocks, and with their moments just if that is asked for."""
        return self.clocks == clocks and (self.days.moments is not None) == moments


class Recall:
    """The users who acted last, at most USERS of them. Safe to share by threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[Any, Known] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, user: Any, fence: int | None) -> Known | None:
        """What is known of a user; to be asked before the event is inserted, so that it cannot hold that event."""
        known = self._known.get(user)
        return known if known and known.fence == fence else None

    def ledger(self, event: Document, added: bool, known: Known | None, fence: int | None) -> rollup.Days:
        """What tells a roll-up of the event's user the days; `added` is whether the insert found it absent."""

        def days(database: Database[Any], users: Document, people: People) -> Sums:
            clocks = people.clocks([event["userId"]])
            count = database[EVENTS].count_documents({"userId": event["userId"]})
            moments = people.moments
            if known and known.fits(clocks, moments) and known.count + added == count:
                found = ranking.merge([known.days, _day(event, clocks, moments)]) if added else known.days
            else:
                found = rollup.days(database, users, people)
                if database[EVENTS].count_documents({"userId": event["userId"]}) != count:
                    return found  # somebody is writing: it cannot be told which of their events these days hold
            if fence is not None:
                self._keep(event["userId"], Known(fence, count, found, clocks))
            return found

        return days

    def _keep(self, user: Any, known: Known) -> None:
        with self._changing:
            self._known[user] = known
            self._known.move_to_end(user)
            while len(self._known) > USERS:
                self._known.popitem(last=False)


def _day(event: Document, clocks: Clocks, moments: bool) -> Sums:
    return ranking.daily([event["userId"]], [event["points"]], [event["createdAt"]], clocks, None, moments)
