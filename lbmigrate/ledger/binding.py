"""The state describes one ledger and its entries: whether those that are there are still the ones that it describes.

The state's row `ledger` keeps what they are known by: the name of their database, the identity that the server gave to
each collection (another one after a drop, a rename or a restored dump), and how many documents each held when the last
run ended well. Events go only by a rollback, by `forget` or with the collection, so fewer of them are a loss; while one
of those verbs is at work no figures are kept. The figures are the server's metadata, which costs nothing at any size.
It may be off after a crash, so where it has fallen the documents are counted before anything is said.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from lbmigrate import feature_flag
from lbmigrate.errors import Refused
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS, MADE_BY_A_MIGRATION
from lbmigrate.schema.layout import homes
from lbmigrate.state import COLLECTION, layouts
from lbmigrate.state.statuses import StepStatus

ROW = "ledger"
LOOKING_MS = 2_000  # for counting where metadata is doubted; what settles it takes the time that it needs
SWITCHES: tuple[tuple[int, feature_flag.Side], ...] = ((3, "write"), (6, "read"))  # the steps that turn the flag on


class Loss(StrEnum):
    """What has come apart."""

    FOREIGN = "foreign"  # the state is another database's, and tells nothing about this one
    STATE = "state"  # there is a ledger of ours, and nothing is known of it
    EVENTS = "events"  # the ledger is gone, another one, or has lost events: the sources have to be read again
    ENTRIES = "entries"  # their collection is gone, or another one: all have to be computed again
    SOME_ENTRIES = "some entries"  # their collection is there and has lost some: all have to be computed again


ANY_OF_OURS = frozenset(Loss) - {Loss.FOREIGN}  # what is settled by what the verb does, or does not matter to it


@dataclass(frozen=True, slots=True)
class Apart:
    """How the state and what it describes have come apart: a sentence, and the command that settles it."""

    loss: Loss
    sentence: str
    way: str
    in_place: bool = False  # both collections are the ones described, and only documents are missing

    def refused(self) -> Refused:
        return Refused(self.sentence, self.way)


def apart(context: Context, ms: int | None = LOOKING_MS) -> Apart | None:
    """What has come apart; None where all is as the state has it, or nothing was begun. Only looks.

    Costs a row of the state and three answers from metadata. Where those say that documents are missing, counting them
    may take `ms` milliseconds, after which the metadata is believed.
    """
    return retrying(lambda: judged(context, context.state.get(ROW), identities(context.target), ms))


def judged(context: Context, kept: Document, here: dict[str, str], ms: int | None = LOOKING_MS) -> Apart | None:
    """The same, of the state's row and of the identities as they were just read."""
    if foreign := _foreign(context, kept):
        return foreign
    if "identities" not in kept and not context.state.knows_chunks():
        return _unknown(context) if holds(context.target[EVENTS], MADE_BY_A_MIGRATION[EVENTS]) else None
    compared = _compared if "identities" in kept else _plausible
    events, entries = (compared(context, kept, here, name, ms) for name in (EVENTS, ENTRIES))
    if not events and not entries:
        return None
    loss = Loss.EVENTS if events else Loss.ENTRIES if _replaced(kept, here, ENTRIES) else Loss.SOME_ENTRIES
    told = "; ".join(filter(None, (events, entries, _shown(context))))
    in_place = not any(_replaced(kept, here, name) for name in (EVENTS, ENTRIES))
    return Apart(loss, told, _way(context, loss), in_place)


def refuse_foreign(context: Context) -> None:
    """Raise Refused before anything is written to the state of another database."""
    if foreign := _foreign(context, context.state.get(ROW)):
        raise foreign.refused()


def check(context: Context, bears: Container[Loss] = ()) -> Apart | None:
    """What has come apart, for a verb that `bears` such a loss; raises Refused for one that it does not."""
    found = apart(context)
    if found and found.loss not in bears:
        raise found.refused()
    return found


def identities(database: Database[Any], names: Iterable[str] = (EVENTS, ENTRIES)) -> dict[str, str]:
    """Those of the collections that are there, each with what the server knows it by.

    That is empty where a server gives none: there a collection that was made again shows by what it has lost.
    """
    found = database.list_collections(filter={"name": {"$in": list(names)}})
    return {info["name"]: bytes(info.get("info", {}).get("uuid", b"")).hex() for info in found}


# --- comparing -----------------------------------------------------------------------------------------------------


def _compared(context: Context, kept: Document, here: dict[str, str], name: str, ms: int | None) -> str:
    """How a collection differs from the one that is remembered; empty where it does not."""
    if name not in kept["identities"]:
        return ""
    known = (kept.get("counts") or {}).get(name, 0)
    if name not in here:
        return f"{name} is gone, and {COLLECTION} knows of {amount(known, 'document')} in it"
    if _replaced(kept, here, name):
        return f"{name} is not the one that {COLLECTION} describes: it was dropped and made again, or restored"
    count = _count([context.target[each] for each in _all_of(context, name)], known, ms)
    return f"{name} holds {amount(count, 'document')}, and {COLLECTION} knows of {known:,}" if count < known else ""


def _all_of(context: Context, name: str) -> list[str]:
    """The collections that hold what one is remembered to hold."""
    return homes(context.target, layouts.layout(context.state)) if name == ENTRIES else [name]


def _replaced(kept: Document, here: dict[str, str], name: str) -> bool:
    known = kept.get("identities", {}).get(name)
    return name not in here or bool(known and here[name] and known != here[name])


def _plausible(context: Context, kept: Document, here: dict[str, str], name: str, ms: int | None) -> str:
    """The same where an earlier version has remembered nothing but chunks: what they added must be somewhere."""
    added = context.state.rows.find_one({"kind": "chunk", "counts.emitted": {"$gt": 0}}, {"_id": 1})
    if not added:
        return ""
    if name not in here:
        return f"{name} is gone"
    database = context.target
    due = name == EVENTS or (context.state.last_closed() is None and holds(database[EVENTS], COUNTED))
    return f"{name} is empty, and {COLLECTION} knows of events" if due and not holds(database[name], {}) else ""


def holds(collection: Collection[Any], asked: Document) -> bool:
    """Whether a collection has such a document, as far as a moment tells: it is among the first, or nearly never."""
    with suppress(ExecutionTimeout):
        return collection.find_one(asked, {"_id": 1}, max_time_ms=LOOKING_MS) is not None
    return False


def _count(collections: Sequence[Collection[Any]], least: int, ms: int | None) -> int:
    """How many documents there are; what the metadata says is enough where that is not below `least`."""
    estimate = sum(collection.estimated_document_count() for collection in collections)
    if estimate >= least:
        return estimate
    limit: dict[str, Any] = {} if ms is None or is_fake(collections[0].database) else {"maxTimeMS": ms}
    with suppress(ExecutionTimeout):
        return sum(collection.count_documents({}, **limit) for collection in collections)
    return estimate


# --- telling -------------------------------------------------------------------------------------------------------


def _foreign(context: Context, kept: Document) -> Apart | None:
    """A state in the app's own database went where that one went: it is no other's."""
    home, here = context.state.rows.database.name, context.target.name
    other = kept.get("database", here)
    if here in (other, home):
        return None
    sentence = (
        f"{COLLECTION} in {home} describes the leaderboard of database {other}, and the configuration names {here}"
    )
    way = "correct database.name, or name a state.database of its own for this one: lbmigrate config show"
    return Apart(Loss.FOREIGN, sentence, way)


def _unknown(context: Context) -> Apart:
    where = context.state.rows.database.name
    sentence = (
        f"{EVENTS} holds events, and {COLLECTION} in {where} knows of none: it was lost, or state.database is wrong"
    )
    if holds(context.target[EVENTS], {"meta.forgotten": True}):
        sentence += "; who was forgotten is not known either, and has to be forgotten again"
    return Apart(Loss.STATE, sentence, _way(context, Loss.STATE))


def _shown(context: Context) -> str:
    """What the app makes of it, where it shows the board."""
    if not feature_flag.read(context.target, context.config).read:
        return ""
    some = context.target[ENTRIES].find_one({}, {"_id": 1}) is not None
    return "read is on, so the app shows " + ("a board that is not verified" if some else "an empty board")


def _way(context: Context, loss: Loss) -> str:
    """The command that settles it, without turning on what a person has turned off."""
    if loss is Loss.SOME_ENTRIES:
        return "lbmigrate backfill, then: lbmigrate verify"
    off = {side for number, side in SWITCHES if _was_turned_off(context, number, side)}
    if "write" in off:
        return "lbmigrate run --to 2, then: lbmigrate backfill"
    return "lbmigrate run --to 5" if "read" in off else "lbmigrate run"


def _was_turned_off(context: Context, number: int, side: feature_flag.Side) -> bool:
    flag = feature_flag.find(context.target, context.config)
    status = context.state.step(number).get("status")
    by_hand = status == StepStatus.APPLIED and bool(flag)
    return (status == StepStatus.OFF or by_hand) and flag.get(side) is not True
