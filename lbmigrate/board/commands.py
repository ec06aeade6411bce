"""How what a question reads becomes commands: what is asked of one database at once travels in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from lbmigrate.board.numbering import Ask, Stages
from lbmigrate.board.ranks import QuickRanks
from lbmigrate.board.whereabouts import Whereabouts
from lbmigrate.mongo.concerns import as_stored
from lbmigrate.records import Document

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

HOMES = frozenset({"entries", "users", "settings", "state"})
MOST = 1_000_000  # documents of a batch: whatever fits into one answer of the server comes in one


@dataclass(frozen=True, slots=True)
class Homes:
    """Where the board's collections are."""

    database: Any
    users: Any
    settings: Any
    state: Any
    ranks: QuickRanks | None
    where: Whereabouts

    @classmethod
    def of(cls, database: Any, sources: Any, config: Config) -> Homes:
        """`database` and `sources` are databases of one kind of client: blocking, asynchronous, or in memory."""
        from lbmigrate.state import COLLECTION  # noqa: PLC0415 - an app that shows a board need not load it

        home = database.client[config.state.database] if config.state.database else database
        users, ranks = as_stored(sources)[config.users.collection], QuickRanks.of(config)
        apart = config.users.settings and as_stored(sources)[config.users.settings.collection]
        where = Whereabouts(config.layout, config.ranking.order[1])
        return cls(as_stored(database), users, apart, home[COLLECTION], ranks, where)

    def of_ask(self, ask: Ask) -> Any:
        """The collection that answers it."""
        return self.database[self.where.layout.home(ask.period)] if ask.where == "entries" else getattr(self, ask.where)


@dataclass(frozen=True, slots=True)
class Command:
    """An aggregation, the collection that it is run on, and which of the asks it answers."""

    home: Any
    stages: Stages
    parts: tuple[int, ...]


def commands(asks: Sequence[Ask], homes: Homes) -> list[Command]:
    """One command for all that one database is asked for, in this order; in memory one for each ask."""
    groups: list[list[int]] = []
    sent = [part for part, ask in enumerate(asks) if ask.where in HOMES and not (ask.spared and homes.where.forbidden)]
    places = {part: homes.of_ask(asks[part]) for part in sent}
    for part, place in places.items():
        group = next((each for each in groups if _in_one_database(places[each[0]], place)), [])
        groups += [] if group else [group]
        group.append(part)
    return [_command([(part, places[part], asks[part].stages) for part in group]) for group in groups]


def lists(asks: Sequence[Ask], homes: Homes) -> list[int]:
    """The asks that the names of all collections answer; none where no period has a collection of its own."""
    return [part for part, ask in enumerate(asks) if ask.where == "partitions" and homes.where.layout.until]


def take(asks: Sequence[Ask], command: Command, row: Document, found: list[list[Document]]) -> None:
    """Put a document of the reply to a command to what the ask has found that it answers."""
    part, row = (command.parts[0], row) if len(command.parts) == 1 else (row["part"], row["row"])
    found[part].append(asks[part].keep(row))


def from_redis(asks: Sequence[Ask], homes: Homes, found: list[list[Document]]) -> list[list[Document]]:
    """The same answers with what Redis says to those that are for it."""
    for part, ask in enumerate(asks):
        if ask.where == "redis" and homes.ranks:
            found[part] = homes.ranks.above(**ask.stages[0])
    return found


def _command(group: list[tuple[int, Any, Stages]]) -> Command:
    parts = tuple(part for part, _, _ in group)
    (_, home, stages), *others = group
    if not others:
        return Command(home, stages, parts)
    joined = [{"$unionWith": {"coll": place.name, "pipeline": [*more, _tag(part)]}} for part, place, more in others]
    return Command(home, [*stages, _tag(parts[0]), *joined], parts)


def _in_one_database(one: Any, other: Any) -> bool:
    return isinstance(one, Collection | AsyncCollection) and bool(one.database == other.database)


def _tag(part: int) -> Document:
    return {"$replaceWith": {"part": {"$literal": part}, "row": "$$ROOT"}}
