"""What the sources of a range of the ledger are worth now.

An event's source is looked for by its `sourceId`, and where no document has that id, in every other form of it: an app
may have written the digits of an ObjectId. A document counts for one event only. Of several that may be about it, that
is the one with the `_id` that it would have today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import sources
from lbmigrate.ledger.groups import Groups
from lbmigrate.ledger.identify import exact_id, is_of, of_one_user, rows_of
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import FORGOTTEN, base_id
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.values.id_text import exact_text, plain_text
from lbmigrate.values.ids import folded_id, id_forms, readings, same_id


def desired(
    context: Context, scored_by: tuple[Source, ...], groups: Groups, odd: Mapping[str, Document]
) -> dict[str, Document]:
    """The events of these sources as they are scored now; nothing for what is gone or does not qualify any more.

    Each has the `_id` and the `sourceId` of its group. `scored_by` are the sources of their action in order: the first
    that has an event goes first. `odd` has the event that a group without any stands for.
    """
    first = {base: _first(base, group) if group else odd[base] for base, group in groups.items()}
    search = _Search(context, groups, first)
    for source in scored_by:
        search.by_name(source)
    for source in scored_by:
        search.by_other_forms(source)
    if scored_by and groups and not search.found:
        _check_that_it_is_there(context, scored_by[0])
    return search.found


def _check_that_it_is_there(context: Context, source: Source) -> None:
    if source.collection not in present_collections(context.sources, source.collection):
        gone = f"{source.action}: collection {source.collection!r} is gone; it was dropped or renamed"
        raise LbmigrateError(gone, hint="lbmigrate plan")


@dataclass(slots=True)
class _Search:
    """The search for the documents behind groups of events."""

    context: Context
    groups: Groups
    first: dict[str, Document]
    found: dict[str, Document] = field(default_factory=dict)

    def by_name(self, source: Source) -> None:
        """Take what has the very id that the events of a group name."""
        candidates: dict[str, Document] = {}
        for event, former in self._scored(source, [name for base in self._missing() for name in self._names(base)]):
            first = self.first.get(event["_id"])
            if first is not None and is_of(first, event):
                self.found.setdefault(event["_id"], event)
                continue
            for name in _names(event, former):
                if name in self.first and self._names_it(name, event):
                    candidates.setdefault(name, event)
        twice = self._recorded_as_usual({base: event for base, event in candidates.items() if base != event["_id"]})
        for base, event in candidates.items():
            if base not in twice and base not in self.found:
                self._take(base, event)

    def by_other_forms(self, source: Source) -> None:
        """Take what has another form of the id that the events of a group name, and no event of its own."""
        if source.unwind or not (missing := self._missing()):
            return
        forms = {folded_id(self.first[base].get("sourceId")): base for base in missing}
        candidates: dict[str, Document] = {}
        own: dict[str, list[str]] = {}
        for event, former in self._scored(source, [form for base in missing for form in self._forms(base)]):
            base = forms.get(folded_id(event["sourceId"]))
            if base and any(of_one_user(event, each) for each in self.groups[base]):
                candidates.setdefault(base, event)
                own[base] = _names(event, former)
        rows = rows_of(self.context, [name for names in own.values() for name in names])
        for base, event in candidates.items():
            if not any(is_of(rows[name], event) for name in own[base] if name in rows):
                self._take(base, event)

    def _missing(self) -> list[str]:
        return [base for base in self.groups if base not in self.found]

    def _scored(self, source: Source, names: list[Any]) -> Iterator[tuple[Document, str | None]]:
        """What these ids are scored as, each with the `_id` that an earlier version gave it, if that was another."""
        leavers = Leavers(self.context.state)
        now = sources.named(self.context, source, names)
        for event in now.events:
            former = now.former.get(event["_id"])
            yield _entombed(event, leavers) if event["userId"] in leavers else event, former

    def _names(self, base: str) -> list[Any]:
        """The source ids that a group may be about: one, or what its `_id` reads as where that does not fit."""
        first = self.first[base]
        return [first.get("sourceId")] if base_id(first) else list(readings(base.partition(":")[2]))

    def _forms(self, base: str) -> list[Any]:
        given = self.first[base].get("sourceId")
        forms = (*id_forms(given), *readings(plain_text(given)))
        return list({exact_text(form): form for form in forms if not same_id(form, given)}.values())

    def _names_it(self, base: str, event: Document) -> bool:
        first = self.first[base]
        if is_of(first, event) or base_id(first) is None:
            return True
        return base == f"{event['actionType']}:{first['sourceId']}" != event["_id"] and of_one_user(first, event)

    def _recorded_as_usual(self, candidates: dict[str, Document]) -> set[str]:
        """Those bases of an unusual `_id` whose source has an event with its usual one as well."""
        rows = rows_of(self.context, [event["_id"] for event in candidates.values()])
        usual = {base: rows.get(event["_id"]) for base, event in candidates.items()}
        return {base for base, row in usual.items() if row is not None and is_of(row, candidates[base])}

    def _take(self, base: str, event: Document) -> None:
        self.found[base] = event | {"_id": base, "sourceId": self.first[base].get("sourceId", event["sourceId"])}


def _first(base: str, group: list[Document]) -> Document:
    return group[0] if group[0]["_id"] == base else next((event for event in group if event["_id"] == base), group[0])


def _names(event: Document, former: str | None) -> list[str]:
    """Every `_id` that the event of a source may have, today's first."""
    return [event["_id"], exact_id(event), *([former] if former else [])]


def _entombed(event: Document, leavers: Leavers) -> Document:
    return event | {"userId": leavers.tombstone(event["userId"]), "meta": {**event["meta"], FORGOTTEN: True}}
