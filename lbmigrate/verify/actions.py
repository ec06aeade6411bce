"""The ledger against its sources: every action of a range, or of some names, read from both sides and compared."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from lbmigrate.config.model import Source
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.strays import unsettled, worth
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Document
from lbmigrate.rules.strays import slim
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text, former_text, plain_text
from lbmigrate.values.ids import id_forms, in_parts, is_document_id, same_id
from lbmigrate.verify import judge
from lbmigrate.verify.expected import names
from lbmigrate.verify.reading import Action, Reading
from lbmigrate.verify.result import Mismatch
from lbmigrate.verify.rows import Groups, Rows, base_of, grouped, without_number
from lbmigrate.verify.values import local_day

ABOVE = ":"  # sorts after "#" and "/", which follow an id in the `_id` of an adjustment and of an element
AT_ONCE = 500  # groups of events that are read by their names together


@dataclass(slots=True)
class Checked:
    """What a range came to. `pending` are documents that changed after the backfill had read them."""

    documents: int = 0
    events: int = 0
    pending: int = 0
    wrong: list[Mismatch] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)

    def add(self, part: Checked) -> None:
        """Take in what another part came to."""
        self.documents += part.documents
        self.events += part.events
        self.pending += part.pending
        self.wrong += part.wrong
        self.points += part.points


class Ledger:
    """The events of one action, and the sources that they come from, in the order in which these are asked.

    Of several sources of one action the first that has an event for a document goes first.
    """

    def __init__(self, context: Context, action: str, sources: Sequence[Source], kind: str | None) -> None:
        latest = context.config.backfill.latest(context.clock())
        self.action, self.collection, self._context = action, sources[0].collection, context
        self._rows = Rows(context, action, [Reading(context.config, source, kind, latest) for source in sources])
        reached = (context.state.watermark(source.name).get("value") for source in sources)
        self._reached = min((value for value in reached if value is not None), default=None)
        here = beginning(context)
        self._begins = here.at if here else None
        self._day, self._kinds = local_day(context.config.timezone), tuple(context.config.periods)
        self._leavers = Leavers(context.state)

    def check_range(self, bounds: Bounds, first: bool, last: bool) -> Checked:
        """The documents within these bounds of `_id`; of ObjectIds also all that the ledger has in that range."""
        expected, documents = self._rows.expected(bounds.condition())
        if isinstance(bounds.low, ObjectId) and isinstance(bounds.high, ObjectId):
            low = f"{self.action}:" if first else f"{self.action}:{bounds.low}"
            high = f"{self.action};" if last else f"{self.action}:{bounds.high}{ABOVE if bounds.closed else ''}"
            rows = list(self._rows.events({"_id": {"$gte": low, "$lt": high}}))
        else:
            rows = list(self._rows.of_names(list(expected)))
        found = self._compared(expected, grouped(rows))
        found.documents = documents
        return found

    def check_named(self, bases: Sequence[str], sources: Sequence[Any] = ()) -> Checked:
        """All that the ledger has under these names, and what it and these source documents are about."""
        total = Checked()
        for some in in_parts(list(dict.fromkeys(bases)), AT_ONCE):
            rows = list(self._rows.of_names(some))
            wanted = [*sources, *(owner for row in rows for owner in self._rows.owners(row.get("sourceId")))]
            expected: dict[str, Action] = {}
            for ids in in_parts(list({exact_text(each): each for each in wanted if is_document_id(each)}.values())):
                expected |= self._rows.expected({"_id": {"$in": ids}})[0]
            kept = {name: action for name, action in expected.items() if name in some}
            total.add(self._compared(kept, grouped(rows)))
        return total

    def check_events(self, condition: Document) -> Checked:
        """The other way round: every event of the action that meets a condition, and the sources behind it."""
        within = {"_id": {"$gte": f"{self.action}:", "$lt": f"{self.action};"}}
        total, some = Checked(), dict[str, None]()
        for row in self._rows.events({"$and": [within, condition]}):
            some[base_of(row) or str(row["_id"])] = None
            if len(some) == AT_ONCE:
                total.add(self.check_named(list(some)))
                some = {}
        total.add(self.check_named(list(some)))
        return total

    def count(self) -> int:
        """How many events the ledger has of the action, by their names."""
        return self._context.target[EVENTS].count_documents(
            {"_id": {"$gte": f"{self.action}:", "$lt": f"{self.action};"}}
        )

    # --- comparing -------------------------------------------------------------------------------------------------

    def _compared(self, expected: dict[str, Action], groups: Groups) -> Checked:
        found = Checked(events=sum(map(len, groups.values())))
        missing: dict[str, Action] = {}
        for name, action in expected.items():
            for period in names(self._kinds, self._day(action.at)) if self._is_due(action) else ():
                found.points[period] += action.points
            events = groups.pop(name, None)
            if events is None:
                missing[name] = action
            elif not judge.is_plain(action, events):
                self._judge_named(action, events, missing, found)
        if missing:
            self._look_for(missing, found)
        if groups:
            self._strays(groups, found)
        return found

    def _judge_named(self, action: Action, events: list[Document], missing: dict[str, Action], found: Checked) -> None:
        """An action whose name the ledger has: of two documents whose ids have one text it may be the other's."""
        source = events[0].get("sourceId")
        if same_id(source, action.source_id) or not is_document_id(source):
            self._judge(action, events, found)
            return
        exact = list(self._rows.of_names([f"{self.action}:{exact_text(action.source_id)}"]))
        if exact:
            self._judge(action, exact, found)
        elif any(same_id(each.source_id, source) for each in self._rows.expected({"_id": source})[0].values()):
            missing[action.id] = action
        else:
            self._judge(action, events, found)

    def _judge(self, action: Action, events: list[Document], found: Checked) -> None:
        if action.user in self._leavers or any(map(_is_forgotten, events)):
            return
        wrong = list(judge.judged(action, events))
        if wrong and self._is_newer(action.changed):
            found.pending += 1
        else:
            found.wrong += wrong

    def _look_for(self, missing: dict[str, Action], found: Checked) -> None:
        """Actions without an event by their usual name: it may have one by another, or be newer than the backfill."""
        due = {name: action for name, action in missing.items() if self._is_due(action)}
        if self._reached is None:
            found.pending += len(due)
            return
        others = {other: name for name, action in due.items() for other in self._other_names(action)}
        rows: Groups = defaultdict(list)
        for row in self._rows.of_names(list(others)):
            if name := others.get(base_of(row) or "") or others.get(without_number(row["_id"])):
                rows[name].append(row)
        large = self._rows.unstorable([action.source for action in due.values()])
        for name, action in due.items():
            if rows[name] or exact_text(action.source) not in large:
                self._judge(action, rows[name], found)

    def _is_due(self, action: Action) -> bool:
        """Whether the ledger is to have an event of it: who has left and what was before the board begins has none."""
        return not (self._begins and action.at < self._begins) and action.user not in self._leavers

    def _other_names(self, action: Action) -> list[str]:
        """How events of a source may be named besides: by an earlier version, or by an app that writes ids as texts."""
        source = action.source_id
        texts = {exact_text(source), former_text(source), *(plain_text(form) for form in id_forms(source))}
        return [name for text in texts if (name := f"{self.action}:{text}") != action.id]

    def _strays(self, groups: Groups, found: Checked) -> None:
        """Groups of events with no source by that name: about a source under another name, or about none."""
        left = {base: [event for event in events if judge.counts(event)] for base, events in groups.items()}
        left = {b: e for b, e in left.items() if e and not any(map(_is_forgotten, e)) and judge.net(e)}
        if not left:
            return
        owners = {exact_text(o): o for events in left.values() for o in self._rows.owners(events[0].get("sourceId"))}
        actions: dict[str, Action] = {}
        for some in in_parts(list(owners.values())):
            for action in self._rows.expected({"_id": {"$in": some}})[0].values():
                actions.setdefault(plain_text(action.source_id).lower(), action)
                actions[exact_text(action.source_id)] = action
        rows = self._rows.of_names([action.id for action in actions.values()])
        taken = {row["_id"]: row for row in rows if judge.counts(row)}
        changed = self._rows.changed(list(owners.values()))
        for base, events in left.items():
            source = events[0].get("sourceId")
            text = plain_text(source).lower()
            one = actions.get(exact_text(source)) or actions.get(text)
            if base_of(events[0]) is None:
                self._misfit(events[0], one is not None and one.id in taken, found)
            else:
                self._stray(base, events, one, taken, changed.get(text), found)

    def _misfit(self, event: Document, known: bool, found: Checked) -> None:
        """An event whose `_id` does not fit: wrong unless a reconciliation has taken back what it was worth."""
        database = self._context.target
        for group, points in unsettled(database, [slim(dict(event))]):
            if worth(database, group, points):
                found.wrong.append(judge.misfit(event, known))

    def _stray(
        self,
        base: str,
        events: list[Document],
        action: Action | None,
        taken: Mapping[str, Document],
        changed: dt.datetime | None,
        found: Checked,
    ) -> None:
        if action is None and self._is_newer(changed):
            found.pending += 1
        elif action is None:
            found.wrong.append(judge.orphan(base, events))
        elif action.id != base and action.id in taken and same_id(taken[action.id].get("sourceId"), action.source_id):
            found.wrong.append(judge.again(base, action, events))
        else:
            self._judge(action, events, found)

    def _is_newer(self, changed: dt.datetime | None) -> bool:
        """Whether a document changed after the last backfill had read it: the next one sees to it, or a reconciliation.

        Where no backfill has read a source to its end nobody can say that.
        """
        return changed is not None and self._reached is not None and changed > self._reached


def _is_forgotten(event: Document) -> bool:
    meta = event.get("meta")
    return isinstance(meta, dict) and meta.get("forgotten") is True


def ledgers(context: Context, kind: str | None) -> list[Ledger]:
    """The ledger of every action of the configuration."""
    found = dict.fromkeys(source.action for source in context.config.sources)
    return [Ledger(context, name, [s for s in context.config.sources if s.action == name], kind) for name in found]
