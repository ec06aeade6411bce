"""What documents are worth beside what the ledger has of them: which of it is wrong, and which is explained."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.strays import unsettled, worth
from lbmigrate.passes.beginning import beginning
from lbmigrate.records import Document
from lbmigrate.rules.strays import slim, stray_of
from lbmigrate.run.context import Context
from lbmigrate.values.id_text import exact_text, former_text, plain_text
from lbmigrate.values.ids import id_forms, in_parts, is_document_id, plain_id, readings, same_id
from lbmigrate.verify import judge
from lbmigrate.verify.checked import Checked
from lbmigrate.verify.expected import names
from lbmigrate.verify.explained import Explained
from lbmigrate.verify.kinds import Kind
from lbmigrate.verify.people import zones
from lbmigrate.verify.reading import Action
from lbmigrate.verify.rows import Groups, Rows, base_of, grouped, without_number
from lbmigrate.verify.zones import Clocks

# What becomes of an action when its document changes; of any other kind something else is the cause.
MAY_CHANGE = frozenset({Kind.WRONG_POINTS, Kind.WRONG_TIME, Kind.WRONG_USER, Kind.UNSCORED_SOURCE})


class BothSides:
    """Compares the actions of documents with groups of events."""

    def __init__(self, context: Context, rows: Rows) -> None:
        self._action, self._context, self._rows = rows.action, context, rows
        self._explained = Explained(context, rows.readings)
        here = beginning(context)
        self._begins = here.at if here else None
        self._kinds = tuple(context.config.periods)
        self._leavers = Leavers(context.state)
        self._all_due = not self._begins and not self._leavers

    def compared(self, expected: dict[str, Action], groups: Groups) -> Checked:
        """What documents are worth beside events in groups; both by the `_id`s of their first events."""
        found = Checked(events=sum(map(len, groups.values())))
        missing: dict[str, Action] = {}
        others: list[tuple[Action, list[Document]]] = []
        days: Counter[dt.date] = Counter()
        owners = {action.user: None for action in expected.values()}
        clocks = Clocks(self._context.config, zones(self._context, list(owners)))
        for name, action in expected.items():
            if self._all_due or self._is_due(action):
                days[clocks.of(action.user)(action.at)] += action.points
            events = groups.pop(name, None)
            if events is None:
                missing[name] = action
            elif not judge.is_plain(action, events):
                source = events[0].get("sourceId")
                if same_id(source, action.source_id) or not is_document_id(source):
                    self._judge(action, events, found)
                else:
                    others.append((action, events))
        for date, points in days.items():
            for period in names(self._kinds, date):
                found.points[period] += points
        if others:
            self._judge_others(others, missing, found)
        if missing:
            self._look_for(missing, found)
        if groups:
            self._strays(groups, found)
        return found

    def _judge_others(
        self, others: list[tuple[Action, list[Document]]], missing: dict[str, Action], found: Checked
    ) -> None:
        """Actions whose names the ledger has for other ids: of two documents with one text it may be the other's."""
        exact = {action.id: f"{self._action}:{exact_text(action.source_id)}" for action, _ in others}
        rows = grouped(self._rows.of_names(list(exact.values())))
        named = [events[0]["sourceId"] for action, events in others if exact[action.id] not in rows]
        theirs = {exact_text(each.source_id) for each in self._actions(named)}
        for action, events in others:
            if exact[action.id] in rows:
                self._judge(action, rows[exact[action.id]], found)
            elif exact_text(events[0]["sourceId"]) in theirs:
                missing[action.id] = action
            else:
                self._judge(action, events, found)

    def _actions(self, ids: Sequence[Any]) -> list[Action]:
        """What documents of these ids are worth."""
        parts = in_parts([each for each in ids if is_document_id(each)])
        return [each for some in parts for each in self._rows.expected({"_id": {"$in": some}})[0].values()]

    def _judge(self, action: Action, events: list[Document], found: Checked) -> None:
        if action.user in self._leavers or any(map(_is_forgotten, events)):
            return
        wrong = list(judge.judged(action, events))
        counting = [event for event in events if judge.counts(event)]
        if wrong and counting and self._explained.by_change(action.changed, counting, self._known(action, counting)):
            found.wrong += (replace(each, finding=each.kind in MAY_CHANGE) for each in wrong)
        else:
            found.wrong += wrong

    def _known(self, action: Action, events: Sequence[Document]) -> Mapping[str, bool]:
        """Whether those whom events name, and the document does not, are known at all."""
        return self._explained.people([each["userId"] for each in events if plain_id(each["userId"]) != action.user])

    def _look_for(self, missing: dict[str, Action], found: Checked) -> None:
        """Actions without an event by their usual name: it may have one by another, or be newer than the backfill."""
        due = {name: action for name, action in missing.items() if self._is_due(action)}
        if self._explained.reached is None:
            found.pending += len(due)
            return
        others = {other: name for name, action in due.items() for other in self._other_names(action)}
        rows: Groups = defaultdict(list)
        for row in self._rows.of_names(list(others)):
            if name := others.get(base_of(row) or "") or others.get(without_number(row["_id"])):
                rows[name].append(row)
        without = [action for name, action in due.items() if not rows[name]]
        newer, large = self._explained.came_later(without), self._rows.unstorable([each.source for each in without])
        for name, action in due.items():
            if name in newer:
                found.pending += 1
            elif rows[name] or exact_text(action.source) not in large:
                self._judge(action, rows[name], found)

    def _is_due(self, action: Action) -> bool:
        """Whether the ledger is to have an event of it: who has left and what was before the board begins has none."""
        return not (self._begins and action.at < self._begins) and action.user not in self._leavers

    def _other_names(self, action: Action) -> list[str]:
        """How events of a source may be named besides: by an earlier version, or by an app that writes ids as texts."""
        source = action.source_id
        texts = {exact_text(source), former_text(source), *(plain_text(form) for form in id_forms(source))}
        return [name for text in texts if (name := f"{self._action}:{text}") != action.id]

    # --- events with no document by that name ----------------------------------------------------------------------

    def _strays(self, groups: Groups, found: Checked) -> None:
        """Groups of events that are about a source under another name, about one that is gone, or about none."""
        left = {base: [event for event in events if judge.counts(event)] for base, events in groups.items()}
        left = {b: e for b, e in left.items() if e and not any(map(_is_forgotten, e)) and judge.net(e)}
        if not left:
            return
        behind = _Behind.of(self._rows, [events[0] for events in left.values()])
        gone = [e[0]["userId"] for e in left.values() if behind.action(e[0]) is None]
        known = self._explained.people(gone)
        for base, events in left.items():
            action = behind.action(events[0])
            if base_of(events[0]) is None:
                self._misfit(events[0], behind.has_event(action), found)
            elif action is None:
                self._orphan(base, events, behind, known, found)
            elif action.id != base and behind.is_of(action):
                found.wrong.append(judge.again(base, action, events))
            else:
                self._judge(action, events, found)

    def _orphan(
        self, base: str, events: list[Document], behind: _Behind, known: Mapping[str, bool], found: Checked
    ) -> None:
        if behind.is_there(events[0]):
            explained = self._explained.by_leaving(behind.changed(events[0]), events, known)
        else:
            explained = self._explained.by_absence(events, known)
        found.wrong.append(replace(judge.orphan(base, events), finding=explained))

    def _misfit(self, event: Document, known: bool, found: Checked) -> None:
        """An event whose `_id` does not fit: wrong unless a reconciliation has taken back what it was worth.

        Where a document has the very id that the `_id` names, it leaves there what that document is worth.
        """
        database = self._context.target
        for group, points in unsettled(database, [slim(dict(event))]):
            left = worth(database, group, points)
            named = self._actions([each for each in readings(stray_of(group)[0].partition(":")[2]) if each is not None])
            if left and all(action.points != left for action in named):
                found.wrong.append(judge.misfit(event, known))


@dataclass(frozen=True, slots=True)
class _Behind:
    """What is behind some events: actions by the ids of their sources, their events, and when documents changed."""

    rows: Rows
    actions: Mapping[str, Action]
    taken: Mapping[str, Document]
    changes: Mapping[str, dt.datetime | None]

    @classmethod
    def of(cls, rows: Rows, events: Sequence[Document]) -> _Behind:
        """Asks for all of them at once."""
        owners = {exact_text(o): o for event in events for o in rows.owners(event.get("sourceId"))}
        actions: dict[str, Action] = {}
        for some in in_parts(list(owners.values())):
            for action in rows.expected({"_id": {"$in": some}})[0].values():
                actions.setdefault(plain_text(action.source_id).lower(), action)
                actions[exact_text(action.source_id)] = action
        found = rows.of_names([action.id for action in actions.values()])
        taken = {row["_id"]: row for row in found if judge.counts(row)}
        return cls(rows, actions, taken, rows.changed(list(owners.values())))

    def action(self, event: Document) -> Action | None:
        """The action that an event is about, by whichever form its id has."""
        source = event.get("sourceId")
        return self.actions.get(exact_text(source)) or self.actions.get(plain_text(source).lower())

    def has_event(self, action: Action | None) -> bool:
        """Whether the ledger has an event by the usual name of an action."""
        return action is not None and action.id in self.taken

    def is_of(self, action: Action) -> bool:
        """Whether that event is about the same source, and not about another with the same text."""
        return self.has_event(action) and same_id(self.taken[action.id].get("sourceId"), action.source_id)

    def is_there(self, event: Document) -> bool:
        """Whether the document is there, in scope or not."""
        return any(each in self.changes for each in self._texts(event))

    def changed(self, event: Document) -> dt.datetime | None:
        """When the document changed, as far as it says so."""
        return next((at for each in self._texts(event) if (at := self.changes.get(each))), None)

    def _texts(self, event: Document) -> list[str]:
        return [plain_text(each).lower() for each in self.rows.owners(event.get("sourceId"))]


def _is_forgotten(event: Document) -> bool:
    meta = event.get("meta")
    return isinstance(meta, dict) and meta.get("forgotten") is True
