"""One BSON type for all user ids of a ledger: else one user would get two entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import chain
from typing import Any

from pymongo.collection import Collection

from lbmigrate.config.model import Source
from lbmigrate.errors import Refused
from lbmigrate.ledger.odd import kinds_in
from lbmigrate.ledger.sources import users_of
from lbmigrate.mongo.sample import both_ends, some_piped
from lbmigrate.records import Document, Reject, amount
from lbmigrate.rules.event import source_named
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.ids import id_type
from lbmigrate.values.limits import named
from lbmigrate.values.paths import projection_of

FEW = 0.2  # a share of other types that is the fault of documents; above it, of the configuration
TELLING = 20  # documents: a share of fewer says nothing
TO_ONE = 5  # of so many documents one is looked at where the ledger tells of which type users are


class OneUserType:
    """Sees to it that all events name users by ids of one type; else the same user would get two entries.

    Starts from what the ledger and both ends of every source hold, so that a mixture is refused before anything is
    written: of sources whose users are of different types, and of a source that mixes them itself. A few documents
    (FEW) of another type are none: each is a reject, and what the `sample` from either end missed is counted as its
    chunks are scored. Few are judged by the whole of a source: those of one old account may stand side by side, at an
    end of a collection or in a chunk of their own.

    `seen` are documents of the sources, by their names, that somebody has looked at already.
    """

    def __init__(
        self, context: Context, sample: int = 500, seen: Mapping[str, Sequence[Document]] | None = None
    ) -> None:
        self._context, self._judges = context, True
        self._places: dict[str, str] = {}
        self._odd: Counter[str] = Counter()  # documents of another type, by their source
        ledger = kinds_in(context.target)
        settled = ledger.total() >= TELLING
        size = sample // TO_ONE if settled and sample > TO_ONE else sample
        looks = {s.name: _sample(context, s, size, settled) for s in context.config.sources} if seen is None else seen
        sampled = [(source, _types(context, source, looks.get(source.name, ()))) for source in context.config.sources]
        if ledger and (settled or not any(found for _, found in sampled)):
            self._places[ledger.most_common(1)[0][0]] = f"{EVENTS}.userId"
        for source, found in sampled:
            if not settled or found.total() >= TELLING:  # beside a board, a few documents are no mistake of the config
                self._see(self._common_throughout(source, found, size), source)

    def of_rejects(self) -> OneUserType:
        """The same for documents that were rejected before: however many are of another type, that is known."""
        alike = copy(self)
        alike._judges = False
        return alike

    def answer(self, asked: Document) -> Document:
        """What another process needs to know for work that it was handed (`AskedUserType`): what is known by then.

        Raises Refused where what it has met is too much.
        """
        source = source_named(self._context.config, asked["source"])
        many = "odd" in asked and self._are_more_than_few(asked["odd"], source)
        self._see(set(asked.get("kinds", ())), source)
        return {"many": many, "places": self._places}

    @property
    def places(self) -> dict[str, str]:
        """The types seen so far, each with where it was seen."""
        return dict(self._places)

    @property
    def kinds(self) -> list[str]:
        """The types seen so far: one, or none."""
        return list(self._places)

    def knows(self, user: object) -> bool:
        """Whether an id is of the ledger's type."""
        return (id_type(user) or "unknown") in self._places

    def check(self, events: Sequence[Document], source: Source) -> None:
        """Raise Refused, with the fix, when the users of these events are not of the known type."""
        self._see(_kinds(events), source)

    def sorted_out(self, events: list[Document], source: Source) -> tuple[list[Document], list[Reject]]:
        """The events whose users are of the known type; the others as rejects, or Refused where they are many."""
        kinds = _kinds(events)
        if len(kinds) == 1 and not self._places:
            self._see(kinds, source)
        if kinds <= self._places.keys():
            return events, []
        if not self._places:
            self._see(_common(Counter(id_type(event["userId"]) or "unknown" for event in events)), source)
        odd = [event for event in events if not self.knows(event["userId"])]
        if self._judges and self._are_many(odd, source):
            self._see(_kinds(odd), source)
        return [event for event in events if self.knows(event["userId"])], [self._reject(each, source) for each in odd]

    def _are_many(self, odd: Sequence[Document], source: Source) -> bool:
        """Whether these of another type are, with those counted before, no longer a few documents of their source."""
        names = {event["sourceId"].partition("/")[0] for event in odd} if source.unwind else odd
        return self._are_more_than_few(len(names), source)

    def _are_more_than_few(self, more: int, source: Source) -> bool:
        self._odd[source.name] += more
        number = self._odd[source.name]
        return number >= TELLING and number > FEW * self._context.sources[source.collection].estimated_document_count()

    def _common_throughout(self, source: Source, ends: Counter[str], size: int) -> set[str]:
        """The types that are more than a few of a source, of whose ends these are the types.

        A mixture, or another type than the known one, is believed of a large collection when what lies between the
        ends has it too.
        """
        found = _common(ends)
        if len(found | self._places.keys()) == 1 or ends.total() < max(size, TELLING):  # a recorder looks at one
            return found
        between = spread(self._context.sources[source.collection], source, size)
        return _common(_types(self._context, source, between)) or found

    def _reject(self, event: Document, source: Source) -> Reject:
        user = event["userId"]
        told = f"user in {source.user.path} is {id_type(user)} {named(user)!r}, and the others are {self.kinds[0]}"
        return Reject(event["sourceId"], told)

    def _see(self, kinds: set[str], source: Source) -> None:
        new = sorted(kinds - self._places.keys())
        for kind in new:
            self._places.setdefault(kind, f"{source.collection}.{source.user.path}")
        if len(self._places) > 1:
            told = ", ".join(f"{place} holds {kind}" for kind, place in self._places.items())
            count = len(self._places)
            for kind in new:  # one odd user must not spoil those who come after
                self._places.pop(kind, None)
            raise Refused(
                f"user ids are of {amount(count, 'type')}: {told}",
                hint="make them one with `user: {path: FIELD, as: string}` (or objectId) in each of those sources",
            )


class AskedUserType(OneUserType):
    """The same in a worker: it is the run that knows what all of them have met."""

    def __init__(self, context: Context, places: Mapping[str, str], ask: Callable[[Document], Document]) -> None:
        self._context, self._judges, self._ask = context, True, ask
        self._places = dict(places)

    def _are_more_than_few(self, more: int, source: Source) -> bool:
        return bool(self._ask({"source": source.name, "odd": more})["many"])

    def _see(self, kinds: set[str], source: Source) -> None:
        self._places = self._ask({"source": source.name, "kinds": sorted(kinds)})["places"]


def kind_of_users(context: Context) -> str | None:
    """The type of the ledger's user ids; None where there are none yet, or where few do not tell."""
    ledger = kinds_in(context.target)
    if not ledger or ledger.total() >= TELLING:
        return ledger.most_common(1)[0][0] if ledger else None
    try:
        kinds = OneUserType(context).kinds
    except Refused:
        return None
    return kinds[0] if kinds else None


def is_settled(context: Context) -> bool:
    """Whether the ledger has enough events to say of which type its users are."""
    return kinds_in(context.target).total() >= TELLING


def _kinds(events: Sequence[Document]) -> set[str]:
    """The types of these events' users, told from one user of each Python type."""
    examples = {type(event["userId"]): event["userId"] for event in events}
    return {id_type(user) or "unknown" for user in examples.values()}


def _common(counted: Counter[str]) -> set[str]:
    """The types that are more than a few; at least the most frequent one."""
    total = sum(counted.values())
    return {kind for kind, number in counted.items() if number > FEW * total or number == max(counted.values())}


def _sample(context: Context, source: Source, size: int, bounded: bool) -> list[Document]:
    collection, projection = context.sources[source.collection], projection_of([source.user.path])
    return list(chain(*both_ends(collection, source.where, projection, size, bounded=bounded)))


def spread(collection: Collection[Any], source: Source, size: int) -> list[Document]:
    """So many documents in scope from all over a collection, with their users. Reads all that are in scope."""
    scope: list[Document] = [{"$match": source.where}] if source.where and not source.unwind else []
    shown = {"$project": projection_of([source.user.path])}
    return some_piped(collection, [*scope, {"$sample": {"size": size}}, shown])


def _types(context: Context, source: Source, rows: Sequence[Document]) -> Counter[str]:
    """How many user ids of each type, as scoring would coerce them, these documents have."""
    names = map(id_type, users_of(context, source, rows))
    return Counter(name for name in names if name)
