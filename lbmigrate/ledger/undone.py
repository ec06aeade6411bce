"""Documents that were looked at because they changed, or are gone: what the ledger has of them is settled at once.

Through the same code as a reconciliation, which remains for what nobody saw: hard deletes without a tail, and events
under unusual ids. What a look costs: one question to the ledger for each thousands of documents; only those that
differ from what they were just scored as are read again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.ledger.budget import MANY, Budget, TooMuch
from lbmigrate.ledger.groups import Groups, events_of, grouped, of_groups, reachable
from lbmigrate.ledger.revisions import WHOLE
from lbmigrate.ledger.settle import Action, Found, actions, fix, group_name, is_live, take_anything
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import FORGOTTEN, adjustments, stand
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.values.id_text import former_text, id_texts, owner_texts
from lbmigrate.values.ids import in_parts, is_document_id, plain_id

OWNERS = 100  # documents whose elements are asked for in one query
TOLD = ("userId", "points", "createdAt", "actionType", "sourceId")  # what an event says that counts


def settle_documents(
    context: Context,
    action: Action,
    ids: Iterable[Any],
    one_type: OneUserType,
    worth: Mapping[str, Document] | None = None,
    *,
    tried: bool = False,
    undone: bool = False,
    budget: Budget | None = None,
    there: Mapping[str, Document] | None = None,
) -> Found:
    """Add what is due for the documents with these ids, and for elements that they have no more.

    `worth` has, by the `_id` that they have in the ledger, events that some of these were scored as just now: what
    agrees with them is not read again; without it everything is. Touched are the users of adjustments that are new,
    that live code has made, or, where somebody has `tried` before, of any. With `undone` only what does not stand is
    looked at. What is beyond the `budget` is held back. What is `there`, by its `_id`, was just seen in the ledger: of
    these sources nothing but adjustments is asked for.
    """
    there, scored = there or {}, worth or {}
    settled = {base for base, event in there.items() if base in scored and _is_as_scored(event, scored[base])}
    groups = _of_documents(context, action, [plain_id(e) for e in ids if is_document_id(e)], there, settled)
    if undone:
        groups = {base: group for base, group in groups.items() if not _stands(group)}
    if not groups:
        return Found()
    differing = [b for b, group in groups.items() if worth is None or _differs(b, group, worth.get(b))]
    if _is_emptied(context, action, len(differing)):
        return Found(held=len(differing))
    try:
        taking = budget.take if budget else take_anything
        found = fix(context, action, differing, one_type, taking=taking) if differing else Found()
    except TooMuch:
        return Found(held=len(differing))
    adjusted = (event for group in groups.values() for event in group if "reason" in event["meta"])
    found.users |= dict.fromkeys(event["userId"] for event in adjusted if tried or is_live(event))
    return found


def action_of(context: Context, source: Source) -> Action:
    """The action of a source, with all the sources that score it."""
    return next(each for each in actions(context.config) if each.name == source.action)


def held_back(source: Source, number: int) -> str:
    """That so many actions were left as they are, since too much of their source would go; empty for none."""
    if not number:
        return ""
    told = f"all of {source.collection}, or more than reconcile.at_most allows, is out of scope at once"
    return f"{told}: {number:,} of {source.action} were not taken back; next: lbmigrate reconcile"


def _stands(group: Sequence[Document]) -> bool:
    return sum(stand(event["meta"].get("reason"), event["points"]) for event in group) > 0


def _differs(base: str, group: Sequence[Document], scored: Document | None) -> bool:
    if scored is not None and len(group) == 1 and _is_as_scored(group[0], scored):
        return False  # what `adjustments` says too, of nearly all documents
    ids = {event["_id"] for event in group}
    return not group or bool(adjustments(group, scored, ids, group=group_name(base)))


def _is_as_scored(event: Document, scored: Document) -> bool:
    """Whether an event that was seen is, in all that counts, what was scored under its `_id`: nothing is due then."""
    if event is scored:
        return True
    plain = type(event.get("points")) in WHOLE and event["meta"].keys().isdisjoint((FORGOTTEN, "reason"))
    return plain and all(event.get(name) == scored[name] for name in TOLD)


def _of_documents(
    context: Context, action: Action, ids: Sequence[Any], there: Mapping[str, Document], settled: Container[str]
) -> Groups:
    """All events of the ledger about these documents, by the source that they are about."""
    if not ids or not action.sources:
        return {}
    if action.sources[0].unwind:
        return _of_elements(context, action, ids)
    return _of_whole(context, action, ids, there, settled)


def _of_whole(
    context: Context, action: Action, ids: Sequence[Any], there: Mapping[str, Document], settled: Container[str]
) -> Groups:
    """The first adjustment of a document is `<base>#1`: by that those are told of which there is more to read.

    Those that are `settled` unless there is more are left out.
    """
    bases = list(dict.fromkeys(f"{action.name}:{text}" for text in id_texts(ids)))
    asked = in_parts([name for base in bases for name in (base, f"{base}#1") if name not in there])
    seen = (there[base] for base in bases if base in there and base not in settled)
    found_now = (event for part in asked for event in events_of(context, {"_id": {"$in": part}}))
    heads = {event["_id"]: event for event in chain(reachable(seen), found_now)}
    more = [base for base in bases if f"{base}#1" in heads]
    plain = (heads[base] for base in bases if base in heads and f"{base}#1" not in heads)
    found, _, _ = grouped(context, [*plain, *(of_groups(context, more) if more else [])])
    wanted = set(bases)
    return {base: group for base, group in found.items() if base in wanted}


def _of_elements(context: Context, action: Action, ids: Sequence[Any]) -> Groups:
    owners = list(dict.fromkeys([*owner_texts(ids), *map(former_text, ids)]))
    starts = [f"{action.name}:{owner}/" for owner in owners]
    parts = (starts[first : first + OWNERS] for first in range(0, len(starts), OWNERS))
    ranges = ([{"_id": {"$gte": start, "$lt": f"{start[:-1]}0"}} for start in some] for some in parts)
    found, _, _ = grouped(context, (event for some in ranges for event in events_of(context, {"$or": some})))
    return found


def _is_emptied(context: Context, action: Action, number: int) -> bool:
    """Whether these are taken back for want of any document: far oftener a mistake than a wish."""
    collection = context.sources[action.sources[0].collection]
    if number >= MANY:
        return not any(collection.find_one(each.where, {"_id": 1}) for each in action.sources)
    is_empty = number > 0 and collection.find_one({}, {"_id": 1}) is None
    return is_empty and collection.name not in present_collections(context.sources, collection.name)
