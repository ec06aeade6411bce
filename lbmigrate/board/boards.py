"""The boards in Redis kept like the entries: published after each roll-up, rebuilt, compared, and marked when stale.

What is published is read from MongoDB after the generation of the board is known, so it is never older than what a
rebuild has read. A publication that fails marks the boards stale in the state: whoever reads them then counts in
MongoDB, and the next rebuild takes the mark away.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pymongo.collection import Collection as Documents
from pymongo.database import Database

from lbmigrate.board import bulk
from lbmigrate.board.comparison import FIELDS, Difference, differences, periods_of
from lbmigrate.board.lifetime import expires, has_expired
from lbmigrate.board.members import gone, member_of, standing_of, users_of
from lbmigrate.board.place import is_whole
from lbmigrate.board.redis_client import PATIENT, client_of, explained
from lbmigrate.board.sorted_sets import BATCH, EXACT, Batch, Lost, Outdated, Showing, SortedSets, Standing
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import entries_of, everywhere, own_periods
from lbmigrate.state import State, layouts
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

ROW = "boards"  # in the state: whether the boards in Redis are stale, and since when
ATTEMPTS = 5  # at a board that is rebuilt while the entries are read that are to be published to it
LAST_VERSION = "~"  # greater than every version of an entry

Each = Callable[[Sequence[str]], Iterator[Any]]  # has the boards of periods rebuilt

log = logging.getLogger("lbmigrate.boards")


@dataclass(frozen=True, slots=True)
class Standings:
    """A board in Redis beside the entries: members, entries, whether ranks come from it, seconds until it expires."""

    period: str
    members: int
    entries: int
    believed: bool
    expires: int | None


class Boards:
    """The boards of one migration, and the entries that they follow."""

    def __init__(self, sets: SortedSets, database: Database[Any], state: State, config: Config) -> None:
        self._sets, self._database = sets, lenient(database)
        self._state, self._config = state.unfenced(), config

    @classmethod
    def of(cls, config: Config, database: Database[Any], state: State, answer: float = PATIENT) -> Boards | None:
        """The boards that a configuration names; None where it names none. Redis may take so long to `answer`."""
        if config.redis.url is None:
            return None
        return cls(_sets_of(config.redis.url, config.redis.key, answer), database, state, config)

    # --- following the entries -----------------------------------------------------------------------------------

    def publish(self, which: Document, periods: Collection[str] | None = None) -> None:
        """Put what the entries that meet a condition say, of all periods or of these, onto the boards.

        Never raises: what fails makes the boards stale.
        """
        self._guarded(lambda: self._published(which, periods))

    def remove(self, entries: Sequence[Document]) -> None:
        """Take off the boards what entries said that are gone. Never raises, as `publish`."""
        self._guarded(lambda: self._removed(entries))

    def leave(self, user_ids: Sequence[Any]) -> None:
        """Take users off every board permanently, in any form of their id; raises when that cannot be done now."""
        left = [Standing(member_of(user), 0, LAST_VERSION, Showing.GONE) for user in user_ids]
        with explained(str(self._config.redis.url)):
            for period in self._sets.periods():
                with suppress(Lost):  # then nobody is on it
                    self._while_outdated(partial(self._off, period, left))

    def _published(self, which: Document, periods: Collection[str] | None) -> None:
        there, asked = self._sets.periods(), {} if periods is None else {"period": {"$in": list(periods)}}
        # Before the entries are read: what is published must not be older than what a rebuild has read.
        known = {each: self._sets.generation(each) for each in there if periods is None or each in periods}
        for period, standings in self._by_period({**which, **asked}).items() if there else ():
            if period in known:
                self._sets.publish(period, standings, known[period])
            elif not has_expired(period, self._config):
                self.rebuild(period)  # it has just begun

    def _removed(self, entries: Sequence[Document]) -> None:
        for entry in entries:
            period = entry.get("period")
            if type(period) is str and is_whole(entry):
                self._off(period, [gone(entry)])

    def _off(self, period: str, standings: Sequence[Standing]) -> None:
        self._sets.publish(period, standings, self._sets.generation(period))

    def _while_outdated(self, work: Callable[[], object]) -> None:
        """Begin again while boards are rebuilt in between; what was published already changes nothing."""
        for _ in range(ATTEMPTS):
            try:
                work()
                return
            except Outdated:
                continue
        raise LbmigrateError("boards are rebuilt faster than entries can be read", "lbmigrate boards rebuild")

    def _by_period(self, which: Document) -> dict[str, list[Standing]]:
        found: dict[str, list[Standing]] = defaultdict(list)
        for entry in everywhere(self._database, layouts.layout(self._state), which, FIELDS):
            if is_whole(entry):
                found[entry["period"]].append(standing_of(entry))
        return found

    def _guarded(self, work: Callable[[], object]) -> None:
        if self._sets.rest:
            self._mark_stale("it did not answer a moment ago")
            return
        try:
            self._while_outdated(work)
        except Exception as error:  # the entries are right whatever becomes of their copy
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        why = hidden(plain(error))
        log.warning("the boards in Redis are stale: %s", why)
        self._mark_stale(why)
        self._sets.rest.begin()

    def _mark_stale(self, why: str) -> None:
        """Say in the state that the boards lack something; each time with another token, for a rebuild to see."""
        row = self._state.get(ROW)
        since = row.get("since") if row.get("stale") else dt.datetime.now(dt.UTC)
        self._state.note(ROW, stale=True, since=since, why=why[:500], failure=secrets.token_hex(8))

    # --- looking ---------------------------------------------------------------------------------------------------

    def differences(self) -> Iterator[Difference]:
        """Every member of every board that has not the score of its entry."""
        for period in self._present():
            if self._sets.above(period, EXACT) is None:
                yield Difference(period, "(the whole board)", None, None)
            else:
                yield from differences(self._sets, self._home(period), period)

    def standings(self) -> Iterator[Standings]:
        """How each board stands that there is or should be."""
        for period in self._present():
            believed = self._sets.above(period, EXACT) is not None
            entries = self._home(period).count_documents({"period": period})
            yield Standings(period, self._sets.size(period), entries, believed, self._sets.expires(period))

    def stale(self) -> Document:
        """What the state says of boards that lack something; empty when they do not."""
        row = self._state.get(ROW)
        return row if row.get("stale") else {}

    # --- rebuilding ----------------------------------------------------------------------------------------------

    def rebuild(self, period: str) -> int:
        """Rebuild a board from the entries, and put it in its place in one step; how many entries are on it."""
        counted = [0]
        batches = _counting(bulk.batches(self._home(period), period), counted)
        meanwhile = self._sets.rebuild(period, batches, expires(period, self._config))
        for start in range(0, len(meanwhile), BATCH):
            # Once more what was published meanwhile: the rebuild may have read it before or after.
            users = [form for member in meanwhile[start : start + BATCH] for form in users_of(member)]
            generation = self._sets.generation(period)
            found = self._home(period).find({"userId": {"$in": users}, "period": period}, FIELDS)
            self._sets.publish(period, [standing_of(entry) for entry in found if is_whole(entry)], generation)
        return counted[0]

    def rebuild_all(self, each: Each | None = None) -> Iterator[Any]:
        """Rebuild the board of every period that has entries and has not expired: the period, and how many are on it.

        `each` may have others do that; then comes what it says of each.
        Then the mark of staleness is taken away, unless a publication has failed meanwhile.
        """
        failure = self._state.get(ROW).get("failure")
        present = self._present()
        for period in self._sets.periods() - set(present):
            self._sets.drop(period)
        yield from each(present) if each else ((period, self.rebuild(period)) for period in present)
        if self._state.get(ROW).get("failure") == failure:
            self._state.note(ROW, stale=False, rebuiltAt=dt.datetime.now(dt.UTC))

    def heal(self, each: Each | None = None) -> Iterator[Any]:
        """Rebuild what is not to be believed, board by board; all of them if a publication has failed.

        A Redis that cannot be used is no reason for a run to fail: the boards stay stale.
        """
        try:
            stale = self._state.get(ROW).get("stale", True)
            if stale or any(self._sets.above(period, EXACT) is None for period in self._present()):
                yield from self.rebuild_all(each)
        except Exception as error:
            self._failed(error)

    def drop_all(self) -> int:
        """Remove every board; how many there were."""
        with explained(str(self._config.redis.url)):
            periods = self._sets.periods()
            for period in periods:
                self._sets.drop(period)
        return len(periods)

    def drop(self, periods: Iterable[str]) -> None:
        """Remove the boards of periods that have no entries any more. Never raises, as `publish`."""
        for period in periods:
            self._guarded(partial(self._sets.drop, period))

    def _present(self) -> list[str]:
        layout = layouts.layout(self._state)
        base = (period for period in periods_of(self._database[ENTRIES]) if not layout.has_own(period))
        periods = sorted([*base, *own_periods(self._database, layout)])
        return [period for period in periods if not has_expired(period, self._config)]

    def _home(self, period: str) -> Documents[Any]:
        return entries_of(self._database, layouts.layout(self._state), period)


def _counting(batches: Iterable[Batch], counted: list[int]) -> Iterator[Batch]:
    for batch in batches:
        counted[0] += len(batch.shown) + len(batch.others)
        yield batch


@lru_cache(maxsize=8)
def _sets_of(url: str, key: str, answer: float) -> SortedSets:
    """Shared, so that the generations that one roll-up has learnt are known to the next."""
    return SortedSets(client_of(url, answer), key)
