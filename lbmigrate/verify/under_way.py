"""What is under way: an entry that lacks events which came in since the last backfill is none that is wrong.

An app that is not written in Python inserts events, and the next backfill rolls them up. Until then their users'
entries are those of the ledger without them, and no more is asked of such an entry.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.ledger import newcomers
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS
from lbmigrate.values.ids import plain_id
from lbmigrate.verify.compare import LOOKS_AGAIN, Difference, Sums, confirmed, expected_of, kind_of, label

AT_ONCE = 500  # differences

Coming = dict[tuple[Any, str], list[str]]  # by user and period, the newest first


@dataclass(slots=True)
class Waiting:
    """Users of whom events came in since the last backfill that their entries do not have yet.

    `differing` are these and all others whose sums are not what the ledger says.
    """

    users: set[Any] = field(default_factory=set)
    differing: set[Any] = field(default_factory=set)

    def sift(self, context: Context, differences: Sequence[Difference]) -> list[Difference]:
        """Those that stand when looked at again, and lack more than what the next backfill rolls up.

        An event that comes in between two readings looks like a mismatch, so the rest is looked at once more.
        """
        wrong = confirmed(context, differences)
        for _ in range(LOOKS_AGAIN):
            excused = set(_under_way(context, wrong))
            self.users |= {each.user for each in excused}
            wrong = confirmed(context, [each for each in wrong if each not in excused]) if excused else wrong
            wrong = [each for each in wrong if each not in excused]
        self.differing |= self.users | {each.user for each in wrong}
        return wrong

    @property
    def told(self) -> str:
        """What to say of them; empty where there are none."""
        if not self.users:
            return ""
        have = "has" if len(self.users) == 1 else "have"
        who = f"{amount(len(self.users), 'user')} {have} events that came in since the last backfill"
        return f"{who}, which the next one puts on the board; next: lbmigrate backfill"


def _under_way(context: Context, differences: Sequence[Difference]) -> Iterator[Difference]:
    """Those of the differences that lack nothing but the newest of the events that the next backfill rolls up."""
    names = newcomers.ids(context, {each.user for each in differences}) if differences else []
    for kind in context.config.periods if names else ():
        some = [each for each in differences if kind_of(context, each.period) == kind]
        coming = _coming(context, kind, names) if some else {}
        for start in range(0, len(some), AT_ONCE):
            yield from _excused(context, kind, some[start : start + AT_ONCE], coming)


def _excused(context: Context, kind: str, some: Sequence[Difference], coming: Coming) -> list[Difference]:
    """Those whose entries are what the ledger says without as many of the newest events as they have fewer."""
    fewer = {each: _events(each.expected) - _events(each.found) for each in some}
    lacking = {each: coming.get((each.user, each.period), [])[:number] for each, number in fewer.items() if number > 0}
    whole = {each: names for each, names in lacking.items() if len(names) == fewer[each]}
    users = list({each.user for each in whole})
    sums = expected_of(context, users, kind, [name for names in whole.values() for name in names]) if whole else {}
    return [each for each in whole if sums.get((each.user, each.period)) == each.found]


def _events(sums: Sums | None) -> int:
    return sums[1] if sums and isinstance(sums[1], int) else 0


def _coming(context: Context, kind: str, names: Sequence[str]) -> Coming:
    fields = dict.fromkeys(("userId", "createdAt"), 1)
    rows = {row["_id"]: row for row in context.target[EVENTS].find({"_id": {"$in": list(names)}, **COUNTED}, fields)}
    found: Coming = defaultdict(list)
    zone = ZoneInfo(context.config.timezone)
    for row in (rows[name] for name in names if name in rows):
        if isinstance(row["createdAt"], dt.datetime):
            found[plain_id(row["userId"]), label(row["createdAt"], kind, zone)].append(row["_id"])
    return found
