"""The board as an app reads it through an AsyncMongoClient: the methods of `Board`, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.asynchronous.database import AsyncDatabase
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


class AsyncBoard:
    """`Board` for the database of an `AsyncMongoClient`: the same questions, answers, costs and errors."""

    def __init__(self, database: AsyncDatabase[Any], config: Config, sources: AsyncDatabase[Any] | None = None) -> None:
        if not isinstance(database, AsyncDatabase):
            raise UsageError("an AsyncBoard takes a database of AsyncMongoClient", "make it a Board")
        self._database, self._sources, self._config = database, database if sources is None else sources, config

    async def top(self, period: str = "global", n: int = 10) -> list[Place]:
        """As `Board.top`."""
        return (await self.page(period, n)).places

    async def page(self, period: str = "global", n: int = 10, after: str | None = None) -> Page:
        """As `Board.page`."""
        behind = None if after is None else position_of(check_period(period), after)
        return await self._ask(
            reading.page(self._config, self._in_force, check_period(period), check_number(n), behind)
        )

    async def rank(self, user: Any, period: str = "global", hidden: bool = False) -> Place | None:
        """As `Board.rank`."""
        period = check_period(period)
        return await self._ask(reading.rank(self._config, self._in_force, period, ids_of(user), hidden))

    async def around(self, user: Any, period: str = "global", n: int = 3) -> list[Place]:
        """As `Board.around`."""
        period, n = check_period(period), check_number(n)
        return await self._ask(reading.around(self._config, self._in_force, period, ids_of(user), n))

    async def among(self, users: Iterable[Any], period: str = "global") -> list[Place]:
        """As `Board.among`."""
        period = check_period(period)
        return await self._ask(reading.among(self._config, self._in_force, period, ids_of_all(users)))

    async def percentile(self, user: Any, period: str = "global") -> float | None:
        """As `Board.percentile`."""
        return await self._ask(reading.percentile(check_period(period), ids_of(user)))

    async def total(self, period: str = "global") -> int:
        """As `Board.total`."""
        return await self._ask(reading.total(check_period(period)))

    async def periods(self, n: int = 10) -> list[str]:
        """As `Board.periods`."""
        n = check_number(n)
        return (await self._ask(over_periods.periods()))[:n]

    async def history(self, user: Any, n: int = 10) -> list[PastPlace]:
        """As `Board.history`."""
        return await self._ask(over_periods.history(self._config, self._in_force, ids_of(user), check_number(n)))

    async def freshness(self) -> Freshness:
        """As `Board.freshness`."""
        return await self._ask(reading.freshness(self._config))

    async def about(self, period: str) -> About:
        """As `Board.about`."""
        return calendar.about(check_period(period), self._config, await self.freshness())

    @cached_property
    def _homes(self) -> Homes:
        return Homes.of(self._database, self._sources, self._config)

    def _in_force(self) -> Order:
        return self._homes.where.order

    async def _ask(self, asked: Reading[T]) -> T:
        if self._homes.where.must_look:
            await self._look()
        found: list[list[Document]] | None = None
        while True:
            try:
                asks = asked.send(found)  # type: ignore[arg-type]  # None begins it
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # nobody knows what a generator returns
            found = await self._found(asks)

    async def _look(self) -> None:
        """What is on record of the entries, before anything is read that depends on it."""
        where = self._homes.where
        try:
            [rows] = await self._read([LOOK])
            where.note(rows)
        except OperationFailure as error:
            where.give_up([LOOK], error)

    async def _found(self, asks: Sequence[Ask]) -> list[list[Document]]:
        """What each ask finds, where entries are now."""
        where = self._homes.where
        asked = where.with_look(asks)
        try:
            found = await self._read(asked)
        except OperationFailure as error:
            where.give_up(asked, error)
            return await self._read(asks)
        return await self._read(asks) if asked is not asks and where.note(found.pop()) else found

    async def _read(self, asks: Sequence[Ask]) -> list[list[Document]]:
        found: list[list[Document]] = [[] for _ in asks]
        for each in commands(asks, self._homes):
            async for row in await each.home.aggregate(each.stages, batchSize=MOST):
                take(asks, each, row, found)
        for part in lists(asks, self._homes):
            found[part] = self._homes.where.own(await self._database.list_collection_names())
        return await asyncio.to_thread(from_redis, asks, self._homes, found) if self._homes.ranks else found
