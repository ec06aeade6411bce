"""Every kind of work that a worker can be handed, and how it carries out a task."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace

from lbmigrate.backfill import recount, refresh_profiles
from lbmigrate.backfill import tasks as backfill
from lbmigrate.ledger import boards_anew
from lbmigrate.mongo import errors_told
from lbmigrate.reconcile import tasks as reconcile
from lbmigrate.records import Document
from lbmigrate.run.context import Clock, Context, Scope
from lbmigrate.run.jobs import Ask, Way
from lbmigrate.run.pace import AskedPace
from lbmigrate.verify import tasks as verify

WAYS: dict[str, Way] = {
    **boards_anew.WAYS, **backfill.WAYS, **recount.WAYS, **refresh_profiles.WAYS, **reconcile.WAYS, **verify.WAYS
}  # fmt: skip


def carry_out(context: Context, task: Document, ask: Ask) -> Document:
    """What comes of a task; an error is among what may come of it."""

    def told(asked: Document) -> Document:
        if "error" in (found := ask(asked)):
            raise errors_told.as_error(found["error"])
        return found

    def read(documents: int) -> None:
        told({"read": documents})

    pace, clock = AskedPace(read, task["perSecond"]), _going_on(task["now"])
    context = replace(context, scope=Scope(**task["scope"]), pace=pace, clock=clock)
    try:
        return WAYS[task["kind"]](context, task, told)
    except (EOFError, OSError):  # the way to the run is cut
        raise
    except Exception as error:
        return {"error": errors_told.as_document(error)}


def _going_on(now: dt.datetime) -> Clock:
    """The clock of the run, which says `now`: that of this host may say something else."""
    began = time.monotonic()

    def clock() -> dt.datetime:
        passed = int(1000 * (time.monotonic() - began))
        return now + dt.timedelta(milliseconds=passed)

    return clock
