"""What the sources say of one user now, by the verification's own reading of the rules, beside what the ledger has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lbmigrate.board.lookup import naming
from lbmigrate.config.model import Source
from lbmigrate.explain.explanation import Refused, SourceSays
from lbmigrate.explain.ledger import MOST, Calendar, Key, Places, key_of
from lbmigrate.ledger.rejects import row_id
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.mongo.concerns import lenient
from lbmigrate.passes.beginning import beginning
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import REJECTS
from lbmigrate.values.ids import folded_id
from lbmigrate.values.limits import named
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.let_reading import Unread
from lbmigrate.verify.reading import POSITION, Action, Reading

KEPT = 1_000  # actions that the ledger lacks, or has otherwise, of which more than the number is told


@dataclass(slots=True)
class Told:
    """What the sources came to. Lists hold the first KEPT; the figures beside them count all.

    `lacking` are actions that the ledger does not have under this user, `otherwise` those that it has at other times or
    with other points: the places that it has. What it has and no source tells of is left in `worth`.
    """

    sources: list[SourceSays] = field(default_factory=list)
    rejects: list[Refused] = field(default_factory=list)
    duplicates: list[Refused] = field(default_factory=list)
    duplicates_total: int = 0
    lacking: list[tuple[Source, Action]] = field(default_factory=list)
    lacking_total: int = 0
    otherwise: list[tuple[Action, Places]] = field(default_factory=list)
    otherwise_total: int = 0

    @property
    def known(self) -> bool:
        """Whether a document of any source names the user."""
        return any(each.documents for each in self.sources)

    @property
    def rejects_total(self) -> int:
        return sum(each.rejected for each in self.sources)


@dataclass(slots=True)
class _Count:
    """What one source says, while it is still being counted."""

    scoped: int = 0
    actions: int = 0
    points: int = 0
    too_early: int = 0
    rejected: int = 0


class Documents:
    """Reads the documents of one user, source by source, one document at a time."""

    def __init__(self, context: Context, forms: Sequence[Any], calendar: Calendar, most: int) -> None:
        here = beginning(context)
        self._context, self._calendar, self._most = context, calendar, most
        self._forms, self._user = list(forms), folded_id(forms[0])
        self._begins = here.at if here else dt.datetime.min
        self._seen: set[Key] = set()
        self._told = Told()

    def read(self, worth: dict[Key, Places] | None) -> Told:
        """Compare with what the ledger has, `worth`, from which what is met is taken; None compares nothing."""
        kind = kind_of_users(self._context)
        latest = self._context.config.backfill.latest(self._context.clock())
        for source in self._context.config.sources:
            reading = Reading(self._context.config, source, kind, latest, self._context.sources)
            self._told.sources.append(self._source(reading, worth))
        return self._told

    def count(self) -> list[SourceSays]:
        """How many documents of each source name the user, and nothing else."""
        return [SourceSays(s.name, s.collection, self._number(s), 0, 0, 0) for s in self._context.config.sources]

    def _source(self, reading: Reading, worth: dict[Key, Places] | None) -> SourceSays:
        source, count = reading.source, _Count()
        for document, holders in self._documents(reading):
            count.scoped += 1
            try:
                action = reading.action(document, holders)
            except Unread as why:
                self._reject(source, document["_id"], str(why), count)
                continue
            if folded_id(action.user) == self._user:
                self._action(source, action, count, worth)
        self._ask_rejects(source, count)
        documents = self._number(source)
        outside = 0 if source.unwind else max(documents - count.scoped, 0)
        counted = (count.actions, count.points, count.too_early, count.rejected)
        return SourceSays(source.name, source.collection, documents, outside, *counted)

    def _action(self, source: Source, action: Action, count: _Count, worth: dict[Key, Places] | None) -> None:
        key = key_of(source.action, action.source_id)
        if action.at < self._begins:
            count.too_early += 1
            return
        if key in self._seen:
            self._duplicate(source, action)
            return
        if len(self._seen) < MOST:
            self._seen.add(key)
        within = self._calendar.holds(action.at)
        count.actions += within
        count.points += action.points * within
        if worth is not None:
            self._compare(source, action, worth.pop(key, None), within)

    def _compare(self, source: Source, action: Action, places: Places | None, within: bool) -> None:
        standing = {at: points for at, points in (places or {}).items() if points}
        if places is None:
            self._told.lacking_total += within
            if within and len(self._told.lacking) < KEPT:
                self._told.lacking.append((source, action))
        elif _differs(action, standing) and (within or any(map(self._calendar.holds, standing))):
            self._told.otherwise_total += 1
            if len(self._told.otherwise) < KEPT:
                self._told.otherwise.append((action, standing))

    def _duplicate(self, source: Source, action: Action) -> None:
        self._told.duplicates_total += 1
        if len(self._told.duplicates) < self._most:
            why = f"{named(action.id)} counts once; another document or element tells of it as well"
            self._told.duplicates.append(Refused(source.name, named(action.source_id), why))

    def _reject(self, source: Source, source_id: Any, why: str, count: _Count) -> None:
        count.rejected += 1
        if len(self._told.rejects) < self._most:
            self._told.rejects.append(Refused(source.name, named(source_id), why))

    def _ask_rejects(self, source: Source, count: _Count) -> None:
        """Of what the ledger lacks, what a backfill could not take in either is a reject, with the reason that it kept.

        So is what this reading cannot take in: the reason that a backfill kept says more.
        """
        mine = [pair for pair in self._told.lacking if pair[0] is source]
        kept = self._reasons({row_id(source, action.source_id): None for _, action in mine})
        for pair in mine:
            if (why := kept.get(row_id(source, pair[1].source_id))) is not None:
                self._told.lacking.remove(pair)
                self._told.lacking_total -= 1
                count.actions -= 1
                count.points -= pair[1].points
                self._reject(source, pair[1].source_id, why, count)
        told = {f"{each.source}:{each.document}": None for each in self._told.rejects if each.source == source.name}
        kept = self._reasons(told)
        for place, each in enumerate(self._told.rejects):
            why = kept.get(f"{each.source}:{each.document}") if each.source == source.name else None
            self._told.rejects[place] = replace(each, reason=why or each.reason)

    def _reasons(self, names: dict[str, None]) -> dict[str, str]:
        """The reasons that are kept for rejects of these names."""
        if not names:
            return {}
        rows = lenient(self._context.target)[REJECTS].find({"_id": {"$in": list(names)}}, {"reason": 1})
        return {row["_id"]: str(row.get("reason")) for row in rows}

    # --- reading ---------------------------------------------------------------------------------------------------

    def _number(self, source: Source) -> int:
        return self._context.sources[source.collection].count_documents(self._theirs(source))

    def _theirs(self, source: Source) -> Document:
        return naming(self._context.sources, self._context.config, source.user, self._forms)

    def _documents(self, reading: Reading) -> Iterator[tuple[Document, dict[str, str]]]:
        """Every document, or element, in scope; with it what the elements of its document are called so far."""
        owner, holders = object(), dict[str, str]()
        for document in self._found(reading):
            if document["_id"] != owner:
                owner, holders = document["_id"], {}
            yield document, holders

    def _found(self, reading: Reading) -> Iterable[Document]:
        source, shown = reading.source, projection_of(reading.paths)
        collection = lenient(self._context.sources)[source.collection]
        if source.unwind is None:
            return collection.find({"$and": [self._theirs(source), source.where]}, shown)
        unwound = {"path": f"${source.unwind}", "includeArrayIndex": POSITION}
        theirs = {"$match": self._theirs(source)}  # once more for elements, each of which may name a user of its own
        scope: list[Document] = [{"$match": source.where}] if source.where else []
        return collection.aggregate(
            [theirs, {"$unwind": unwound}, theirs, *scope, {"$project": {**shown, POSITION: 1}}]
        )


def _differs(action: Action, standing: Places) -> bool:
    """Whether the ledger has other points for an action, or has them at another time that is not a guess."""
    if action.approximate:
        return sum(standing.values()) != action.points
    return standing != ({action.at: action.points} if action.points else {})
