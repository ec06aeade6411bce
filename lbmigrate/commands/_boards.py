"""The verbs for the boards in Redis: rebuild, check, status, persist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from lbmigrate.board.actions import Actions
from lbmigrate.board.boards import Boards, Standings
from lbmigrate.board.comparison import Difference
from lbmigrate.board.redis_client import PATIENT, client_of, explained
from lbmigrate.config.model import Config
from lbmigrate.errors import Mismatch, Refused, UsageError
from lbmigrate.feature_flag import find, switches
from lbmigrate.ledger import boards_anew
from lbmigrate.live import persist
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.records import Counts, Document, Piece, Work, amount
from lbmigrate.run.connection import Connection, opened
from lbmigrate.state import BOARDS

REBUILD = Work("boards rebuild")
LISTED = 20  # differences that are named


@dataclass(frozen=True, slots=True)
class BoardsStatus:
    """How the boards in Redis stand, and what the state says of a publication that failed (empty: none has)."""

    boards: list[Standings]
    stale: Document


def rebuild_boards(where: Config | Connection, *, terms: Terms = Terms()) -> dict[str, int]:
    """Rebuild every board in Redis from the entries; how many entries each has. Nobody who reads waits for it."""
    built: dict[str, int] = {}
    with (
        _boards(where) as (connection, boards),
        runner.started(connection, "boards rebuild", terms, row=BOARDS) as driver,
    ):

        def pieces() -> Iterator[Piece]:
            for came in boards_anew.rebuilt(driver.context, boards):
                if isinstance(came, Piece):
                    yield came
                    continue
                period, count = came
                built[period] = count
                yield Piece(period, count, count, unit="users")

        driver.carry_out(REBUILD, pieces())
    return built


def check_boards(where: Config | Connection) -> int:
    """Compare every board with its entries; how many there are. Raises Mismatch, with the first LISTED differences."""
    with _boards(where) as (_, boards):
        found: list[Difference] = list(islice(boards.differences(), LISTED + 1))
        if found:
            more = "more than " if len(found) > LISTED else ""
            told = f"the boards in Redis differ from the entries in {more}{amount(min(len(found), LISTED), 'member')}"
            raise Mismatch(told, "lbmigrate boards rebuild", list(map(str, found[:LISTED])))
        return sum(1 for _ in boards.standings())


def boards_status(where: Config | Connection) -> BoardsStatus:
    """How each board stands. Writes nothing."""
    with _boards(where) as (_, boards):
        return BoardsStatus(list(boards.standings()), boards.stale())


def persist_boards(where: Config | Connection, *, terms: Terms = Terms()) -> Counts:
    """Make events of what an app scored into Redis first; what became of the actions of its stream."""
    with _boards(where) as (connection, _):
        config = connection.config
        if not switches(find(connection.target, config)).write:
            raise Refused("recording is off, so the actions in Redis stay there", "lbmigrate flag write on")
        actions = Actions(client_of(str(config.redis.url), PATIENT), config.redis.key.format(period="actions"))
        with runner.started(connection, "boards persist", terms, row=BOARDS, live=True) as driver:
            counts = driver.carry_out(persist.WORK, persist.pieces(driver.context, actions))
    return counts if isinstance(counts, Counts) else Counts()


@contextmanager
def _boards(where: Config | Connection) -> Iterator[tuple[Connection, Boards]]:
    """The boards that the configuration names. Within the block, errors of Redis become what they mean."""
    with opened(where) as connection:
        config = connection.config
        connection.refuse_untouched()
        boards = Boards.of(config, connection.target, connection.state)
        if boards is None:
            raise UsageError(
                "no Redis is configured: redis.url is empty", "export LBMIGRATE_REDIS_URL=redis://HOST:6379/0"
            )
        with explained(str(config.redis.url)):
            yield connection, boards
