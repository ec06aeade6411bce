"""Which event of the ledger is the one that was just scored, and under which `_id` a new one goes.

The `_id` of an event is made from a text that two ids can have (`values.id_text`), so what is found under it is the
same action only if its `sourceId` says so too. An app may have written the `sourceId` in another form, an ObjectId as
its digits: that is the same action if it is the same user's, and if no document has that other id itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.ledger import sources
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document, Reject
from lbmigrate.rules.adjustments import FORGOTTEN, base_id
from lbmigrate.rules.strays import slim
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import ONE_REPLY, folded_id, in_parts, same_id

WITH_USER = dict.fromkeys(("actionType", "sourceId", "meta.origin", "userId"), 1)
FIELDS = {**WITH_USER, **dict.fromkeys(("points", "createdAt", "meta.reason", f"meta.{FORGOTTEN}"), 1)}

Rows = dict[str, Document]


@dataclass(slots=True)
class Identified:
    """What became of some events: new ones, the origin of known ones by their `_id`, and those that cannot go in.

    `rows` has the known ones as the ledger has them, but for those that had to be looked at more closely.
    """

    free: list[Document] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    rows: Rows = field(default_factory=dict)

    def note(self, event: Document, row: Document) -> None:
        """`row` is `event`, which from now on has the `_id` that it has there."""
        event["_id"] = row["_id"]
        meta = row.get("meta")
        self.known[row["_id"]] = meta.get("origin") if isinstance(meta, dict) else None


def identify(context: Context, source: Source, events: Sequence[Document], former: dict[str, str]) -> Identified:
    """Look these events up, and give those that are not there an `_id` that nothing else has.

    `former` has for an `_id` how an earlier version wrote it.
    """
    found = Identified()
    rows = rows_of(context, [event["_id"] for event in events], FIELDS)
    odd = []
    for event in events:
        row = rows.get(event["_id"])
        if row is not None and is_of(row, event):
            found.note(event, row)
            found.rows[row["_id"]] = row
        elif row is None and event["_id"] not in former:
            found.free.append(event)
        else:
            odd.append(event)
    if odd:
        _look_closely(context, source, odd, former, found)
    return found


def rows_of(context: Context, names: Sequence[str], fields: Document = WITH_USER) -> Rows:
    """The events of the ledger that have these ids. Asking costs a third of inserting in vain."""
    ledger = lenient(context.target.with_options(codec_options=sources.CODECS))[EVENTS]
    found = (ledger.find({"_id": {"$in": part}}, fields, batch_size=ONE_REPLY) for part in in_parts(names))
    return {row["_id"]: slim(row) for rows in found for row in rows}


def is_of(row: Document, event: Document) -> bool:
    """Whether an event of the ledger is about the very source of `event`."""
    return row.get("actionType") == event["actionType"] and same_id(row.get("sourceId"), event["sourceId"])


def exact_id(event: Document) -> str:
    """The `_id` of an event that no other has, whatever the ledger holds."""
    return f"{event['actionType']}:{exact_text(event['sourceId'])}"


def of_one_user(one: Document, other: Document) -> bool:
    """Whether two events are of the same user, whichever form of the id they have."""
    return folded_id(one.get("userId")) == folded_id(other.get("userId"))


def _look_closely(
    context: Context, source: Source, events: Sequence[Document], former: dict[str, str], found: Identified
) -> None:
    """Events whose `_id` something else has, or that an earlier version wrote in another way."""
    rows = rows_of(context, [name for e in events for name in (e["_id"], former.get(e["_id"])) if name is not None])
    contested: list[tuple[Document, Document]] = []
    old: list[tuple[Document, Document]] = []
    for event in events:
        row, before = rows.get(event["_id"]), rows.get(former.get(event["_id"], ""))
        if before is not None and _may_be_former(before, event):
            old.append((event, before))
        elif row is not None:
            contested.append((event, row))
        else:
            found.free.append(event)
    if old:
        contested += _recognise(context, source, old, rows, found)
    if contested:
        _decide(context, source, contested, found)


def _may_be_former(row: Document, event: Document) -> bool:
    """Whether a row under an earlier version's `_id` is `event`; an element's says so only by its text and its user."""
    if is_of(row, event):
        return True
    return bool(row["_id"] == f"{event['actionType']}:{row.get('sourceId')}") and of_one_user(row, event)


def _recognise(
    context: Context, source: Source, pairs: Sequence[tuple[Document, Document]], rows: Rows, found: Identified
) -> list[tuple[Document, Document]]:
    """Take rows with an earlier version's `_id` for the events, unless they are about what has that `_id` now."""
    claimed = _claimed(context, source, [row for event, row in pairs if not is_of(row, event)])
    contested = []
    for event, row in pairs:
        if is_of(row, event) or exact_text(row["sourceId"]) not in claimed:
            found.note(event, row)
        elif event["_id"] in rows:
            contested.append((event, rows[event["_id"]]))
        else:
            found.free.append(event)
    return contested


def _decide(context: Context, source: Source, pairs: Sequence[tuple[Document, Document]], found: Identified) -> None:
    """Events whose `_id` another row has: the same action in another form, one of an exact `_id`, or neither."""
    rows = rows_of(context, [exact_id(event) for event, _ in pairs])
    claimed = _claimed(context, source, [row for event, row in pairs if _is_form(row, event)])
    for event, row in pairs:
        own = rows.get(exact_id(event))
        if own is not None and is_of(own, event):
            found.note(event, own)
        elif own is None and _is_form(row, event) and exact_text(row["sourceId"]) not in claimed:
            found.note(event, row)
        elif own is None and base_id(row) is not None:
            event["_id"] = exact_id(event)
            found.free.append(event)
        else:
            found.rejects.append(Reject(event["sourceId"], _held(own or row)))


def _is_form(row: Document, event: Document) -> bool:
    one_text = folded_id(row.get("sourceId")) == folded_id(event["sourceId"])
    return bool(row.get("actionType") == event["actionType"]) and one_text and of_one_user(row, event)


def _claimed(context: Context, source: Source, rows: Sequence[Document]) -> set[str]:
    """Those source ids, in exact text, that documents of the source have and score with."""
    if not rows:
        return set()
    now = sources.named(sources.at_primary(context), source, [row["sourceId"] for row in rows])
    return {exact_text(event["sourceId"]) for event in now.events}


def _held(row: Document) -> str:
    what = f"action {excerpt(row.get('actionType'))}, sourceId {excerpt(row.get('sourceId'))}"
    return f"the ledger has an event with its _id that is about something else ({what})"
