"""What the ledger says, grouped by the source that its events are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lbmigrate.ledger.identify import rows_of
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import FORGOTTEN, base_id, counts, is_forgotten, without_number
from lbmigrate.rules.strays import TAKEN_BACK, about, slim, stray_group
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id

FIELDS = ("userId", "actionType", "points", "sourceId", "createdAt", "meta.origin", "meta.reason", f"meta.{FORGOTTEN}")
AT_ONCE = 200  # sources whose events are asked for in one query

Groups = dict[str, list[Document]]  # the events of each source, by the `_id` of its first event


def of_groups(context: Context, bases: Sequence[str]) -> list[Document]:
    """All events of these groups, and perhaps some others."""
    conditions = ({"$or": [each for base in some for each in about(base)]} for some in in_parts(bases, AT_ONCE))
    return list({e["_id"]: e for condition in conditions for e in events_of(context, condition)}.values())


def events_of(context: Context, condition: Document) -> Iterator[Document]:
    """The events that meet a condition, slim, in the order of their ids, but for those that nobody can look up."""
    ledger = lenient(context.target)[EVENTS]
    yield from reachable(map(slim, ledger.find(condition, dict.fromkeys(FIELDS, 1)).sort("_id", 1).hint([("_id", 1)])))


def reachable(events: Iterable[Document]) -> Iterator[Document]:
    """Those of some slim events that can be looked up, their users as ids are kept."""
    for event in events:
        event["userId"] = plain_id(event.get("userId"))
        if not _is_unreachable(event):
            yield event


def _is_unreachable(event: Document) -> bool:
    """Whether an event's source was named by a user who left, and so by a tombstone now: nobody can look it up."""
    gone = is_forgotten(event) and event.get("actionType") != TAKEN_BACK
    return gone and id_text(event.get("userId")) in id_text(event.get("sourceId"))


def grouped(context: Context, events: Iterable[Document]) -> tuple[Groups, dict[str, Document], set[str]]:
    """Events by the source that they are about; those that count for nobody; the names of those that do not fit.

    One that counts for nobody is in no group, but stands for one: what its `_id` names is to be worth what its source
    says. One whose `_id` does not fit its fields is a group by itself.
    """
    groups: Groups = {}
    odd: dict[str, Document] = {}
    strays = []
    for event in events:
        base = base_id(event)
        if not counts(event):
            name = base or without_number(event["_id"])
            groups.setdefault(name, [])
            odd.setdefault(name, event)
        elif base is None:
            strays.append(event)
        else:
            groups.setdefault(base, []).append(event)
    parents = rows_of(context, [without_number(stray["_id"]) for stray in strays]) if strays else {}
    bases = [stray_group(stray, parents) for stray in strays]
    for base, stray in zip(bases, strays, strict=True):
        groups.setdefault(base, []).append(stray)
    return groups, odd, set(bases)
