"""The rows that a comparison of the ledger with its sources needs: documents with what they are worth, and events."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text, former_text, plain_text
from lbmigrate.values.ids import id_forms, in_parts, is_document_id, readings, same_id
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.reading import POSITION, Action, Reading
from lbmigrate.verify.values import getter

CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
FIELDS = dict.fromkeys(("userId", "actionType", "points", "sourceId", "createdAt", "meta.reason", "meta.forgotten"), 1)
MOST = 20_000  # events that are held at once
_number = re.compile(r"#[1-9][0-9]*")

Groups = dict[str, list[Document]]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is read of one action: its events, and the documents of its sources."""

    context: Context
    action: str
    readings: Sequence[Reading]

    def expected(self, condition: Document, collection: str = "") -> tuple[dict[str, Action], int]:
        """What documents are worth, by the `_id`s of their events; the first source that has one for it goes first.

        And how many documents were read. They are those of all sources, or of those in one collection.
        """
        found: dict[str, Action] = {}
        read = 0
        for reading in self.readings:
            if collection and reading.source.collection != collection:
                continue
            rows = list(documents(self.context, reading, condition))
            read += len(rows)
            for action in reading.actions(rows):
                first = found.setdefault(action.id, action)
                if first is not action and not same_id(first.source_id, action.source_id):  # two ids with one text
                    exact = f"{self.action}:{exact_text(action.source_id)}"
                    found.setdefault(exact, action._replace(id=exact))
        return found, read

    def events(self, condition: Document) -> Iterator[Document]:
        return iter(lenient(self.context.target)[EVENTS].find(condition, FIELDS))

    def of_names(self, bases: list[str]) -> Iterator[Document]:
        """The events of these names with their adjustments, which are few."""
        for some in in_parts(bases, 2_000):
            rows = list(self.events({"_id": {"$in": [*some, *(f"{base}#1" for base in some)]}}))
            adjusted = {without_number(row["_id"]): None for row in rows if row["_id"].endswith("#1")}
            yield from (row for row in rows if not row["_id"].endswith("#1") and row["_id"] not in adjusted)
            yield from self.of_groups(list(adjusted))

    def completed(self, rows: Sequence[Document]) -> Iterator[Document]:
        """These events, and where there are more of an action, all that the ledger has of it."""
        groups = grouped(rows)
        adjusted = {base for base, some in groups.items() if len(some) > 1 or some[0]["_id"] != base}
        for some in in_parts([f"{base}#1" for base in groups], 2_000):
            adjusted |= {without_number(row["_id"]) for row in self.events({"_id": {"$in": some}})}
        yield from (event for base, some in groups.items() if base not in adjusted for event in some)
        yield from self.of_groups(list(adjusted))

    def of_groups(self, bases: Sequence[str]) -> Iterator[Document]:
        """The events of these names and all adjustments to them."""
        for some in in_parts(list(bases), 100):
            beside = [{"_id": {"$gt": f"{base}#", "$lt": f"{base}$"}} for base in some]
            found = {row["_id"]: row for row in self.events({"$or": [{"_id": {"$in": some}}, *beside]})}
            yield from (row for name, row in found.items() if name in some or without_number(name) in some)

    def nearest(self, source_id: Any) -> list[Any]:
        """The id of the document that an event is about when its app writes ids as they are."""
        if any(reading.source.unwind for reading in self.readings):
            return self.owners(source_id)
        return [source_id] if is_document_id(source_id) else []

    def owners(self, source_id: Any) -> list[Any]:
        """The ids of documents that an event may be about."""
        forms = [source_id, *(id_forms(source_id) if is_document_id(source_id) else [])]
        if isinstance(source_id, str) and any(reading.source.unwind for reading in self.readings):
            forms += [each for each in readings(source_id.partition("/")[0]) if each is not None]
        return [form for form in forms if is_document_id(form)]

    def unstorable(self, sources: list[Any]) -> set[str]:
        """Those of some documents whose events no server would take: they are rejects."""
        found: set[str] = set()
        for reading in self.readings if any(reading.source.meta for reading in self.readings) else []:
            for some in in_parts(sources):
                rows = documents(self.context, reading, {"_id": {"$in": some}})
                found |= {exact_text(row["_id"]) for row in rows if reading.is_too_large(row)}
        return found

    def changed(self, ids: list[Any]) -> dict[str, dt.datetime | None]:
        """Those of these documents that are there, in scope or not, with when they last changed if they say so."""
        found: dict[str, dt.datetime | None] = {}
        for reading in self.readings:
            collection, cursor = self.context.sources[reading.source.collection], reading.source.cursor
            for some in in_parts(ids):
                rows = collection.with_options(codec_options=CODECS).find(
                    {"_id": {"$in": some}}, projection_of([cursor])
                )
                for row in rows:
                    at = getter(cursor)(row)
                    found[plain_text(row["_id"]).lower()] = at if isinstance(at, dt.datetime) else None
        return found


def grouped(rows: Iterable[Document]) -> Groups:
    """Events by the action that they are about, told by their fields; one that fits none stands alone."""
    found: Groups = defaultdict(list)
    for row in rows:
        found[base_of(row) or str(row["_id"])].append(row)
    return found


def several(rows: Iterable[Document], most: int = MOST) -> Iterator[Groups]:
    """Events in groups, so many at a time: a range may hold any number of those whose documents are gone."""
    found: Groups = defaultdict(list)
    number = 0
    for row in rows:
        base = base_of(row) or str(row["_id"])
        if number >= most and base not in found:
            yield found
            found, number = defaultdict(list), 0
        found[base].append(row)
        number += 1
    if found:
        yield found


def base_of(event: Document) -> str | None:
    """The `_id` of the first event of an action, told from any event of it; None where its `_id` does not fit."""
    name, action, source = event["_id"], event.get("actionType"), event.get("sourceId")
    if type(name) is not str:
        return None
    for write in (plain_text, exact_text, former_text):
        base = f"{action}:{write(source)}"
        if name == base or (name.startswith(base) and _number.fullmatch(name, len(base))):
            return base
    return None


def without_number(name: Any) -> str:
    """The `_id` of an adjustment without its number."""
    text, mark, number = str(name).rpartition("#")
    return text if mark and _number.fullmatch(f"#{number}") else str(name)


def documents(context: Context, reading: Reading, condition: Document) -> Iterator[Document]:
    """The documents, or elements, of a source that meet a condition on documents, with no more than is read of them."""
    source = reading.source
    collection = context.sources[source.collection].with_options(codec_options=CODECS)
    projection = projection_of(reading.paths)
    if source.unwind is None:
        wanted = {"$and": [condition, source.where]} if source.where else condition
        return iter(collection.find(wanted, projection))
    unwound = {"path": f"${source.unwind}", "includeArrayIndex": POSITION}
    kept = [{"$match": source.where}] if source.where else []
    shown: Document = {"$project": {**projection, POSITION: 1}}
    return iter(collection.aggregate([{"$match": condition}, {"$unwind": unwound}, *kept, shown]))
