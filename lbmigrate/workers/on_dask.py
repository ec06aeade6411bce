"""A task in a worker of a Dask cluster: the configuration is its own, and must be that of the run."""

from __future__ import annotations

import atexit
import base64
import os
import pickle
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from pymongo.errors import PyMongoError

from lbmigrate.config.load import load_config
from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo import errors_told
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.state import Holder, State
from lbmigrate.state.mailbox import Mailbox
from lbmigrate.telling import secrets
from lbmigrate.workers.at_work import answered, at_work, packed, unpacked
from lbmigrate.workers.joining import answer_to, guarded, opened, refuse_elsewhere, refuse_others
from lbmigrate.workers.ways import carry_out

BEGINS = "begins"  # asks, before anything is done, whether another worker has begun this task
HANDED = "LBMIGRATE_HANDED_OVER"  # a configuration that a run has handed to a cluster of its own


@dataclass(slots=True)
class Place:
    """What a thread of a worker keeps from task to task: the run that it works for, its client, and its mailbox."""

    order: tuple[str, int]
    box: Mailbox
    context: Context
    later: ExitStack = field(repr=False)


_mine = threading.local()


def work(order: bytes, body: bytes) -> bytes:
    """Carry out a task of a run; an error is among what may come of it."""
    wanted, task, began = unpacked(order), unpacked(body), time.monotonic()
    try:
        place = _place(wanted)
    except (LbmigrateError, PyMongoError) as error:
        return packed({"unready": errors_told.as_document(error), "who": str(Holder.here())})
    turns = iter(range(1, 2**31))

    def ask(asked: Document) -> Document:
        turn = next(turns)
        place.box.ask(wanted["number"], turn, packed(asked))
        return answer_to(place.box, wanted["number"], turn)

    try:
        if task["counts"] and ask({BEGINS: True})["again"]:
            task["tried"] += 1
        found = carry_out(place.context, task, ask)
        place.box.count(found.get("documents", 0), time.monotonic() - began)
    except (LbmigrateError, PyMongoError) as error:
        return packed({"error": errors_told.as_document(error)})
    return answered(found)


def _place(wanted: Document) -> Place:
    known: Place | None = getattr(_mine, "place", None)
    if known and known.order == (wanted["run"], wanted["fence"]) and not known.box.is_gone:
        return known
    if known:
        _mine.place = None
        known.later.close()
    config = _config()
    refuse_others(config, wanted["marks"])
    found = _mine.place = _new_place(config, wanted)
    return found


def _new_place(config: Config, wanted: Document) -> Place:
    with ExitStack() as later:
        context = later.enter_context(at_work(config, wanted["run"], wanted["fence"]))
        refuse_elsewhere(context)
        box = Mailbox(State(context.state.rows.database), wanted["run"], Holder.here(), by="dask")
        later.enter_context(opened(box))
        kept = later.pop_all()
        atexit.register(kept.close)
        return Place((wanted["run"], wanted["fence"]), box, guarded(context, box), kept)


def _config() -> Config:
    """The configuration of this worker: what its run has handed to it, or what `lbmigrate` finds here."""
    if handed := os.environ.get(HANDED):
        config, known = pickle.loads(base64.b64decode(handed))
        secrets.keep(known)
        found: Config = config
        return found
    return load_config()
