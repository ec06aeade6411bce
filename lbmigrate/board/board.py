"""The board as an app reads it through a MongoClient. Users who opted out never appear.

`AsyncBoard` has the same methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.board import calendar, over_periods, reading
from lbmigrate.board.asked import check_number, check_period, ids_of, ids_of_all, position_of
from lbmigrate.board.commands import MOST, Homes, commands, from_redis, lists, take
from lbmigrate.board.numbering import Ask, Reading
from lbmigrate.board.order import Order
from lbmigrate.board.place import About, Freshness, Page, PastPlace, Place
from lbmigrate.board.whereabouts import LOOK
from lbmigrate.errors import UsageError
from lbmigrate.records import Document

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

T = TypeVar("T")


class Board:
    """Reads the leaderboard of `database` (of a `MongoClient`). Never writes. Safe to share between threads.

    `sources` is where the users live, by default the same database. A question takes two commands, three where it asks
    for neighbours or some have no document under their very id; one more where users live elsewhere, up to two more
    where ranks come from Redis and the state is elsewhere. A history takes one more where periods have collections of
    their own, and for each 200 periods. `n` is at most 1,000,000. It raises a subclass of UsageError for what cannot be
    asked, whatever a web request put there, and the driver's errors for all else.
    """

    def __init__(self, database: Database[Any], config: Config, sources: Database[Any] | None = None) -> None:
        given: object = database
        if isinstance(given, AsyncDatabase):
            raise UsageError("a Board takes a database of MongoClient", "make it an AsyncBoard")
        self._database, self._sources, self._config = database, database if sources is None else sources, config

    def top(self, period: str = "global", n: int = 10) -> list[Place]:
        """The first `n` visible users of a period, best first."""
        return self.page(period, n).places

    def page(self, period: str = "global", n: int = 10, after: str | None = None) -> Page:
        """`n` visible users of a period, from the top, or behind the page whose cursor `after` is.

        Pages put together are the board, also while it changes elsewhere. Raises CursorRefused for a cursor that was
        edited or that is of another period.
        """
        behind = None if after is None else position_of(check_period(period), after)
        return self._ask(reading.page(self._config, self._in_force, check_period(period), check_number(n), behind))

    def rank(self, user: Any, period: str = "global", hidden: bool = False) -> Place | None:
        """A user's own place; None without an entry. Of one who has opted out only with `hidden`, for their own eyes.

        `user` is a Place, its `user` or `original`, an id, or how that is written.
        """
        period = check_period(period)
        return self._ask(reading.rank(self._config, self._in_force, period, ids_of(user), hidden))

    def around(self, user: Any, period: str = "global", n: int = 3) -> list[Place]:
        """A user with up to `n` visible neighbours on either side, best first; empty if the user is not to be seen."""
        period, n = check_period(period), check_number(n)
        return self._ask(reading.around(self._config, self._in_force, period, ids_of(user), n))

    def among(self, users: Iterable[Any], period: str = "global") -> list[Place]:
        """Friends or a team, at most 1,000: the places that they have on the whole board, best first."""
        period = check_period(period)
        return self._ask(reading.among(self._config, self._in_force, period, ids_of_all(users)))

    def percentile(self, user: Any, period: str = "global") -> float | None:
        """How many of 100 entries of the period have a lower score than this user (0 to 100); None without an entry.

        Reads the keys of the whole period in the index: about 0.3 s for a million entries.
        """
        return self._ask(reading.percentile(check_period(period), ids_of(user)))

    def total(self, period: str = "global") -> int:
        """How many entries a period has, hidden ones included, as in ranks. Reads all of their keys."""
        return self._ask(reading.total(check_period(period)))

    def periods(self, n: int = 10) -> list[str]:
        """The newest periods that have entries, `global` first."""
        n = check_number(n)
        return self._ask(over_periods.periods())[:n]

    def history(self, user: Any, n: int = 10) -> list[PastPlace]:
        """A user's places in the newest `n` periods with an entry, `global` first. Of hidden users too."""
        return self._ask(over_periods.history(self._config, self._in_force, ids_of(user), check_number(n)))

    def freshness(self) -> Freshness:
        """How old the board may be, by the state of the migration, which the client must be allowed to read."""
        return self._ask(reading.freshness(self._config))

    def about(self, period: str) -> About:
        """When a period begins and ends, and whether the board already has all of it."""
        return calendar.about(check_period(period), self._config, self.freshness())

    @cached_property
    def _homes(self) -> Homes:
        return Homes.of(self._database, self._sources, self._config)

    def _in_force(self) -> Order:
        return self._homes.where.order

    def _ask(self, asked: Reading[T]) -> T:
        if self._homes.where.must_look:
            self._look()
        found: list[list[Document]] | None = None
        while True:
            try:
                asks = asked.send(found)  # type: ignore[arg-type]  # None begins it
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # nobody knows what a generator returns
            found = self._found(asks)

    def _look(self) -> None:
        """What is on record of the entries, before anything is read that depends on it."""
        where = self._homes.where
        try:
            [rows] = self._read([LOOK])
            where.note(rows)
        except OperationFailure as error:
            where.give_up([LOOK], error)

    def _found(self, asks: Sequence[Ask]) -> list[list[Document]]:
        """What each ask finds, where entries are now."""
        where = self._homes.where
        asked = where.with_look(asks)
        try:
            found = self._read(asked)
        except OperationFailure as error:
            where.give_up(asked, error)
            return self._read(asks)
        return self._read(asks) if asked is not asks and where.note(found.pop()) else found

    def _read(self, asks: Sequence[Ask]) -> list[list[Document]]:
        found: list[list[Document]] = [[] for _ in asks]
        for each in commands(asks, self._homes):
            for row in each.home.aggregate(each.stages, batchSize=MOST):
                take(asks, each, row, found)
        for part in lists(asks, self._homes):
            found[part] = self._homes.where.own(self._database.list_collection_names())
        return from_redis(asks, self._homes, found)


def check_known(period: str, board: Board) -> None:
    """Raise UsageError for a period that has no entries while others do."""
    known = board.periods(8)
    if known and not board.top(period, 1) and period not in known:
        told = f"no entries for period {period!r}; there are {', '.join(known)}"
        raise UsageError(told, f"lbmigrate top --period {known[0]}")
