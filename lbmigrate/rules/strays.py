"""Events about nothing: their `_id` does not fit their fields. How they are told apart, and how they are taken back.

What takes a stray back stands beside it: `<_id>#1`. Where a validator takes no such event, since the `_id` names no
action or is too long, it has an action of its own: `taken back:"<_id>"#1`. All events about one stray are one group,
whose name is what stands before the `#1`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from lbmigrate.records import LONGEST_ID, Document
from lbmigrate.rules.adjustments import FORGOTTEN, above, base_id, is_forgotten, without_number
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import same_id
from lbmigrate.values.limits import LOST, SHOWN, SMALL, short

TAKEN_BACK = "taken back"  # no configuration can have an action with a blank in it
LONGEST_ACTION = 256  # characters, as the validator has it
LONGEST_NAME = 10_000  # characters of the `_id` of a stray that has its adjustments beside it
LONGEST_GROUP = 7 * LONGEST_NAME  # as JSON a character may take six
BEGINS = 200  # characters of a longer one by which it is found again
LAST = chr(0x10FFFF)


def stray_group(stray: Document, parents: Mapping[str, Document]) -> str:
    """The group of an event whose `_id` does not fit: its own, or that of the stray that it adjusts.

    `parents` has events by their ids: those that `without_number` names.
    """
    parent = parents.get(without_number(stray["_id"]))
    if parent is None or base_id(parent) or parent.get("actionType") != stray.get("actionType"):
        return _group(stray["_id"])
    return _group(parent["_id"] if same_id(parent.get("sourceId"), stray.get("sourceId")) else stray["_id"])


def _group(name: str) -> str:
    action, colon, _ = name.partition(":")
    if colon and len(action) <= LONGEST_ACTION and len(name) <= LONGEST_NAME:
        return name
    if len(name) <= LONGEST_NAME:
        return f"{TAKEN_BACK}:{exact_text(name)}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{TAKEN_BACK}:{json.dumps({'sha256': digest, 'begins': name[:BEGINS]}, ensure_ascii=False)}"


def is_apart(group: str) -> bool:
    """Whether a group is of a stray whose adjustments do not stand beside it."""
    return group.startswith(f"{TAKEN_BACK}:")


def stray_of(group: str) -> tuple[str, bool]:
    """The `_id` of the stray that a group is about, and whether that is all of it, or only its beginning."""
    if not is_apart(group):
        return group, True
    try:
        read = json.loads(group.partition(":")[2])
    except ValueError:
        return group, True
    if isinstance(read, str):
        return read, True
    beginning = read.get("begins") if isinstance(read, dict) else None
    return (beginning, False) if isinstance(beginning, str) else (group, True)


def about(group: str) -> list[Document]:
    """The conditions for the events of a group: ranges of their index, which may hold others."""
    found: list[Document] = [{"_id": {"$gte": group, "$lt": above(group)}}]
    name, whole = stray_of(group)
    if name != group:
        found.append({"_id": {"$gte": name, "$lt": above(name) if whole else f"{name}{LAST}"}})
    return found


def slim(event: Document) -> Document:
    """An event with no more than it takes to tell what it is about and whether it counts; the same one, changed.

    What nobody should have put there, and only there, may be all that fits into memory.
    """
    large = [
        field
        for field, value in event.items()
        if type(value) not in SMALL and not (type(value) is str and len(value) <= SHOWN)
    ]
    if large:
        _cut(event, large)
    event.setdefault("meta", {})
    return event


def _cut(event: Document, large: Sequence[str]) -> None:
    """With more than this an event does not fit its `_id`, or names no user."""
    name = event["_id"]
    room = len(name) if isinstance(name, str) else 0
    most = {"userId": LONGEST_ID, "actionType": room, "sourceId": 4 * room + LONGEST_ID}
    for field in large:
        if field == "meta":
            event["meta"] = _cut_meta(event)
        elif field != "_id" and short(value := event[field], most.get(field, SHOWN)) is not value:
            event[field] = LOST if field == "userId" else short(value, most.get(field, SHOWN))
    if not isinstance(name, str) and short(name) is not name:
        event["_id"] = f"{LOST}{short(name)}"  # which is no text that an event could have, either
    if room > LONGEST_NAME and base_id(event) is None:
        event["_id"] = _group(name)


def _cut_meta(event: Document) -> Document:
    meta = event["meta"] if isinstance(event["meta"], dict) else {}
    kept = {field: short(value) for field, value in meta.items() if field != FORGOTTEN}
    return kept | ({FORGOTTEN: True} if meta and is_forgotten(event) else {})


def weight(event: Document) -> int:
    """About how many characters a slim event has."""
    source = event.get("sourceId")
    return len(event["_id"]) + (len(source) if isinstance(source, str | bytes) else 50)
