"""Which differences between the ledger and its sources are explained: by documents that changed or went since.

A backfill adds what is new and leaves what it has added. What a document becomes worth afterwards, and that it is gone,
a reconciliation settles. Until then such a difference is told as a finding, and fails no verification: an app goes on
being used. One that nothing explains is wrong.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.passes.ends import ENDS, behind
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.state.conditions import of
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import folded_id, id_forms, in_parts
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.reading import Action, Reading
from lbmigrate.verify.values import getter


class Explained:
    """What explains differences of one action. `reached` is up to when the last backfill has read its sources."""

    def __init__(self, context: Context, readings: Sequence[Reading]) -> None:
        self._context, self._readings = context, readings
        self._sources = [reading.source for reading in readings]
        reached = (context.state.watermark(source.name).get("value") for source in self._sources)
        some = context.scope.share < 1  # of the chunks are rehearsed: nobody can say which documents were read
        self.reached: dt.datetime | None = min((v for v in reached if v is not None and not some), default=None)

    def is_newer(self, changed: dt.datetime | None) -> bool:
        """Whether a document changed after the last backfill had read it.

        Where no backfill has read a source to its end nobody can say that.
        """
        return changed is not None and self.reached is not None and changed > self.reached

    def came_later(self, actions: Sequence[Action]) -> set[str]:
        """Those of these actions, by their names, whose documents no pass has looked at, since they are newer.

        They changed after the last one had read them, or were inserted behind the ids that it has seen; the next one
        reads either.
        """
        if self.reached is None:
            return set()
        found = {action.id for action in actions if self.is_newer(action.changed)}
        rest = [action for action in actions if action.id not in found]
        inserted = self._behind([action.source for action in rest]) if rest else ()
        return found | {action.id for action in rest if exact_text(action.source) in inserted}

    def _behind(self, sources: Sequence[Any]) -> set[str]:
        """Those of these documents, as exact texts, whose `_id` is behind all that there were at the last pass."""
        found = set[str]()
        for source in self._sources:
            kept = self._context.state.watermark(source.name).get(ENDS)
            if kept is None:
                continue
            for some in in_parts(list(sources)):
                asked = {"$and": [{"_id": {"$in": some}}, behind(kept)]}
                rows = self._context.sources[source.collection].find(asked, {"_id": 1})
                found |= {exact_text(row["_id"]) for row in rows}
        return found

    def by_change(self, changed: dt.datetime | None, events: Sequence[Document], known: Mapping[str, bool]) -> bool:
        """Whether a document has changed since the action, and since what was before was last settled.

        `known` says of users, by their folded ids, whether they have a document. What is of nobody, in the future, or
        not what a rule may give has never been right, and nothing explains that.
        """
        if changed is None or not self._tells_changes or not self._may_have_been(events, known):
            return False
        after = changed > max(event["createdAt"] for event in events)
        return after and (self.is_newer(changed) or changed > self._since)

    def by_leaving(self, changed: dt.datetime | None, events: Sequence[Document], known: Mapping[str, bool]) -> bool:
        """Whether a document that is there and in scope no more may have been when its events came into the ledger."""
        if not self.by_absence(events, known):
            return False
        return not self._tells_changes or changed is None or self.by_change(changed, events, known)

    def by_absence(self, events: Sequence[Document], known: Mapping[str, bool]) -> bool:
        """Whether events of a document that is not there may once have been right."""
        return self._may_have_been(events, known) and not self._is_emptied

    def _may_have_been(self, events: Sequence[Document], known: Mapping[str, bool]) -> bool:
        points = sum(event["points"] for event in events)  # nothing is left of what was taken back
        possible = not points or any(reading.may_give(points) for reading in self._readings)
        people = all(known.get(folded_id(event["userId"]), True) for event in events)
        return possible and people and self._is_timely(events)

    def _is_timely(self, events: Sequence[Document]) -> bool:
        latest = self._context.config.backfill.latest(self._context.clock())
        return latest is None or all(event["createdAt"] <= latest for event in events)

    def people(self, users: Sequence[Any]) -> dict[str, bool]:
        """Whether each of these users has a document, by their folded ids; nothing if there is no such collection."""
        rules = self._context.config.users
        if not users or rules.collection not in present_collections(self._context.sources):
            return {}
        forms, found = [form for user in users for form in id_forms(user)], set[str]()
        for some in in_parts(forms):
            asked = {rules.key: {"$in": some}}
            rows = self._context.sources[rules.collection].find(asked, projection_of([rules.key]))
            found |= {folded_id(getter(rules.key)(row)) for row in rows}
        return {name: name in found for name in map(folded_id, users)}

    @property
    def _tells_changes(self) -> bool:
        return all(source.updated is not None for source in self._sources)

    @cached_property
    def _since(self) -> dt.datetime:
        """Since when the ledger may differ: a reconciliation settles what was before, a first backfill reads it."""
        rows = [self._context.state.watermark(f"{source.name}:reconcile") for source in self._sources]
        settled = [row["wholeAt"] for row in rows if row.get("wholeAt")]
        return max([*settled, *map(self._first_read, self._sources)], default=dt.datetime.min)

    def _first_read(self, source: Source) -> dt.datetime:
        asked = {**of("chunk"), "source": source.name, "claimedAt": {"$type": "date"}}
        first = self._context.state.rows.find_one(asked, {"claimedAt": 1}, sort=[("claimedAt", 1)])
        return first["claimedAt"] if first else dt.datetime.max

    @cached_property
    def _is_emptied(self) -> bool:
        """Whether no document is in scope any more, which is a mistake oftener than a wish: nothing explains that."""
        there = present_collections(self._context.sources)
        named = [source for source in self._sources if source.collection in there]
        return not any(self._context.sources[each.collection].find_one(each.where, {"_id": 1}) for each in named)
