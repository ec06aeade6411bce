"""What settles a state and a ledger that have come apart (`binding`): the state forgets what it tells of the lost one.

Of what is void nothing is kept, so the next backfill reads every source again, or rolls up everyone, and the cut-over
waits for a new verdict. Who was forgotten, the runs, the backups, and what a person turned off are true of any ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lbmigrate import feature_flag
from lbmigrate.ledger import unknown_leavers
from lbmigrate.ledger.binding import SWITCHES, Apart, Loss, apart, holds
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.odd import ROW as ODD
from lbmigrate.records import Checkpoint, Piece, RowsRemoved
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.state import BEGINNING, RULES
from lbmigrate.state.statuses import ChunkStatus, StepStatus

VOID = ("chunk", "watermark", "profiles", "newcomers", "verdict", "tail", ODD)  # kinds of rows that tell of a ledger
PROGRESS = "step:4"  # whose `strays` says that there may be entries of users who have no events any more


def begin_anew(context: Context, found: Apart) -> Iterator[Piece]:
    """Forget what the state tells of a ledger, or of entries, that are not there any more; killed, it is done again.

    Whoever was forgotten stays away, and what a person turned off stays off. The rules by which events were scored are
    kept while there are such events. Raises Refused where the state is another database's.
    """
    if found.loss is Loss.FOREIGN:
        raise found.refused()
    Histograms(context).void()
    yield Piece(EVENTS, unit="events", warning=found.sentence)
    if unknown := unknown_leavers.told(unknown_leavers.number(context)):
        yield Piece(EVENTS, unit="events", warning=f"{unknown}; next: {unknown_leavers.NEXT}")
    if found.loss in (Loss.ENTRIES, Loss.SOME_ENTRIES):
        yield Piece(ENTRIES, unit="users", checkpoint=everyone(context), note="computes the entries of everyone again")
        yield Piece(ENTRIES, unit="users", checkpoint=RowsRemoved(_void(found)))
        return
    for checkpoint in _lost_switches(context):
        yield Piece("flag", checkpoint=checkpoint)
    left = holds(context.target[EVENTS], {})
    told = "; adjustments that are not in it any more: lbmigrate reconcile" if left else ""
    note = f"starts over: every source is read again, and what the ledger has counts once{told}"
    yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(PROGRESS, {"strays": True}), note=note)
    kept = [BEGINNING, *([RULES] if left else [])]  # where the board begins, a person has chosen
    yield Piece(EVENTS, unit="events", checkpoint=RowsRemoved(_void(found), {"_id": {"$nin": kept}}))


def _void(found: Apart) -> tuple[str, ...]:
    return ("verdict",) if found.loss in (Loss.ENTRIES, Loss.SOME_ENTRIES) else VOID


def everyone(context: Context) -> Checkpoint:
    """What makes the next roll-up compute the entries of everyone: a chunk without documents that touched all users."""
    now = context.clock()
    row = {"source": "", "pass": 0, "span": 0, "number": 0, "attempts": 1, "claimedAt": now, "closedAt": now}
    counts = {"read": 0, "emitted": 0}
    fields = {**row, "run": context.run, "status": ChunkStatus.EMITTED.value, "counts": counts, "users": None}
    return Checkpoint(f"chunk:{ENTRIES}:0:0:0", fields)


def _lost_switches(context: Context) -> Iterator[Checkpoint]:
    """Where the flag's document is gone too, nobody turned anything off: a run turns it on as a first one does."""
    if not feature_flag.find(context.target, context.config):
        for number, _ in SWITCHES:
            if context.state.step(number).get("status") == StepStatus.APPLIED:
                yield Checkpoint(f"step:{number}", {"status": StepStatus.NEW.value})


def ahead(context: Context) -> Context:
    """The surroundings as they are once what has come apart is settled: for those who say what a run would do."""
    found = apart(context)
    if found is None or found.loss is Loss.FOREIGN:
        return context
    return replace(context, state=context.state.without(_void(found)))


def has_lost_flag(context: Context) -> bool:
    """Whether the flag's document went with the ledger, so that nobody has turned anything off."""
    if feature_flag.find(context.target, context.config):
        return False
    found = apart(context)
    return found is not None and found.loss is Loss.EVENTS
