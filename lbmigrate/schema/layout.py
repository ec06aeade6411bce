"""Which collection holds the entries of a period: the base one, or one of the period's own.

The entries of `global` are always in the base collection. Of the others those up to and including the period `until`
have collections of their own, in the order of their names; the rest are in the base one. So a layout is one text: empty
where all are in the base collection, ALL where each period has its own, and in between while a run moves them. It is
recorded in the state, and who reads or writes entries goes by that: what is elsewhere is a copy that is not up to date.

So is the order in which entries of one score stand (`ranking.order`), and which one a run prepares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, PARTITIONS, PERIODS, WAYS

PARTITIONED = "partitioned"  # as the configuration calls it; the other one is "single"
ALL = "~"  # behind the name of every period
ROW = (
    "entries"  # of the state: `until`, and whether a run is `moving` entries; without it all are in the base collection
)
NAMES = 8_192  # of collections that are remembered: a move lists all of them once for each
BY_USER = "userId"  # the order of those who share a score, as the configuration calls it, that needs nothing on record
LOOK_AGAIN = 1.0  # seconds that a layout may be old that nobody has announced to change
_DIGITS = {"%Y": r"\d{4}", "%G": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%V": r"\d\d"}
_FORMATS = (format_ for kind, format_ in PERIODS.items() if kind != "global")
_NAMES = re.compile("|".join(re.sub("%.", lambda found: _DIGITS[found[0]], format_) for format_ in _FORMATS), re.ASCII)
_ESCAPED = re.compile(r"=([0-9a-f]+)=|(_)")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where entries are. While it is `moving`, `until` may change at any moment, and copies may be elsewhere.

    Entries of periods that are `archived` are nowhere but in a backup, and nobody rebuilds them. Who share a score
    stand by `order`; `coming` is the order that a run prepares, or clears up after; empty where none does.
    """

    until: str = ""
    moving: bool = False
    archived: frozenset[str] = frozenset()
    order: str = BY_USER
    coming: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Layout:
        """As the state has it on record; an empty row is none."""
        until, archived = row.get("until", ALL if row else ""), row.get("archived")
        names = frozenset(map(str, archived)) if isinstance(archived, list) else frozenset[str]()
        order, coming = (row.get(name) for name in ("order", "coming"))
        return cls(
            until if isinstance(until, str) else ALL,
            row.get("moving") is not False and bool(row),
            names,
            order if isinstance(order, str) and order in WAYS else BY_USER,
            coming if coming in (*WAYS, BY_USER) else "",
        )

    @property
    def is_single(self) -> bool:
        """Whether every entry is in the base collection, and no copy anywhere else."""
        return not self.until and not self.moving

    @property
    def orders(self) -> tuple[str, ...]:
        """Those of WAYS for which entries say when they have reached their score, and which have an index."""
        return tuple(dict.fromkeys(each for each in (self.order, self.coming) if each in WAYS))

    def home(self, period: str) -> str:
        """Name the collection that holds the entries of a period."""
        return partition(period) if self.has_own(period) else ENTRIES

    def has_own(self, period: str) -> bool:
        """Whether a period has a collection of its own."""
        return period <= self.until and may_have_own(period)


def may_have_own(period: object) -> bool:
    """Whether it is the name of a period other than `global`; what others have made up stays in the base collection."""
    return type(period) is str and _NAMES.fullmatch(period) is not None


def partition(period: str) -> str:
    """Name the collection of a period's own; no two periods have the same."""
    return PARTITIONS + "".join(map(_escaped, period))


def _escaped(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    return "_" if character == "-" else f"={ord(character):x}="


@lru_cache(maxsize=NAMES)
def period_of(name: str) -> str:
    """The period whose collection has this name."""
    plain = name.removeprefix(PARTITIONS)
    return _ESCAPED.sub(lambda found: "-" if found[2] else chr(int(found[1], 16)), plain)


@lru_cache(maxsize=NAMES)
def is_partition(name: str) -> bool:
    """Whether a collection is called as that of a single period."""
    return name.startswith(PARTITIONS) and may_have_own(period := period_of(name)) and partition(period) == name


def partitions(database: Database[Any]) -> list[str]:
    """The collections of periods that are there, in the order of their periods; one command."""
    found = database.list_collection_names(filter={"name": {"$regex": f"^{PARTITIONS}"}})
    return sorted(filter(is_partition, found), key=period_of)


def homes(database: Database[Any], layout: Layout) -> list[str]:
    """Every collection that may hold entries, the base one first; no command where that is the only one."""
    return [ENTRIES] if layout.is_single else [ENTRIES, *partitions(database)]


def everywhere(
    database: Database[Any], layout: Layout, condition: Document, fields: Mapping[str, Any]
) -> Iterator[Document]:
    """The entries that meet a condition, whatever their periods, each once: from where the layout says they are."""
    if layout.is_single:
        yield from database[ENTRIES].find(condition, fields)
        return
    for name in homes(database, layout):
        for entry in database[name].find(condition, {**fields, "period": 1}):
            if is_home(layout, name, entry):
                yield entry


def own_periods(database: Database[Any], layout: Layout) -> list[str]:
    """The periods that have a collection of their own with an entry in it."""
    there = [name for name in partitions(database) if layout.has_own(period_of(name))] if layout.until else []
    return [period_of(name) for name in there if database[name].find_one({}, {"_id": 1}) is not None]


def estimated(database: Database[Any], layout: Layout) -> int:
    """How many entries there are by the server's metadata; while they are moved, with the copies."""
    return sum(database[name].estimated_document_count() for name in homes(database, layout))


def is_home(layout: Layout, name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry that was found in this collection is where it belongs."""
    period = entry.get("period")
    return (layout.home(period) if type(period) is str else ENTRIES) == name


def entries_of(database: Database[Any], layout: Layout, period: str) -> Collection[Any]:
    """The collection that holds the entries of a period."""
    return database[layout.home(period)]
