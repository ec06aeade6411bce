"""What each kind of row in the state holds, declared once, and how a row that was edited or damaged is read.

No verb reads a row but through `lbmigrate.state.judge`. A field that is not as it must be counts as absent, or as what
is on the safe side (`instead`); a row that lacks what it cannot do without counts as absent as a whole. What follows
from that is said with each kind: the next run puts the row right so (`lbmigrate.state.repair`), and those who look name
it until then.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from lbmigrate.records import Document
from lbmigrate.schema.layout import ALL
from lbmigrate.state.forms import (
    BYTES,
    COUNTS,
    FENCE,
    FLAG_BEFORE,
    HOLDER,
    ID,
    IDENTITIES,
    LETTER,
    LIST,
    MARKS,
    MISSED,
    MOMENT,
    NAMES,
    NUMBER,
    OBJECT_ID,
    OPTIONS,
    PASS,
    PAUSE,
    PROGRESS,
    RECORD,
    ROLLING,
    RULES,
    TEXT,
    TIME,
    TOKEN,
    TUNED,
    WHOLE,
    YES_OR_NO,
    Field,
    Safe,
    Shape,
    chunk_problem,
    is_among,
    is_whole,
    status,
)
from lbmigrate.state.statuses import ChunkStatus, RunStatus, StepStatus
from lbmigrate.state.verified import ANYTHING, BOUND, LEVEL, MISMATCHES, RECORDS, TOTALS

COLLECTION = "lbmigrate_state"
SALT = "forgotten:salt"
EPOCH = dt.datetime(1970, 1, 1)
NO_SALT = (
    f"bring that row back from a backup; or have them leave again: db.{COLLECTION}.deleteMany({{_id: /^forgotten:/}}),"
    " then: lbmigrate forget USER, for each"
)
NEXT_RUN = "the next run or backfill"
OPEN = frozenset({ChunkStatus.CLAIMED.value, ChunkStatus.FAILED.value})  # begun, and not closed
NO_BOUND: Document = {"population": 0, "checked": 0, "wrong": 0, "confidence": 0.0, "rate": 1.0, "words": "nothing"}
NOBODY_KNOWN: Document = {"host": "", "pid": 0, "born": 0.0}  # a holder of whom nothing can be read


def _part(place: int, number: bool = True) -> Safe:
    """A field that a chunk's id repeats: `chunk:SOURCE:PASS:SPAN:NUMBER`."""

    def found(row: Document) -> Any:
        part = str(row["_id"]).partition(":")[2].rsplit(":", 3)[place]
        return int(part) if number else part

    return found


def lost_pass(row: Document) -> Document:
    """A pass of which nothing is known but, at best, its number: no run has its scope, so none goes on with it."""
    kept = row.get("pass")
    number = kept["number"] if isinstance(kept, dict) and is_whole(kept.get("number")) else 0
    return {
        "number": max(number, 0),
        "scope": {"abandoned": True},
        "spans": [],
        "done": False,
        "next": None,
        "lost": True,
    }


def _chunk_problem(row: Document) -> str:
    """Only an open chunk is read again. One whose status cannot be read counts as absent anyhow."""
    return chunk_problem(row) if is_among(row.get("status"), OPEN) else ""


def _ranks_problem(row: Document) -> str:
    """What a histogram counts is known only where the list of what is being settled is whole."""
    kept = row.get("changing", {"entries": []})
    return "" if isinstance(kept, dict) and isinstance(kept.get("entries"), list) else "changing has no list of entries"


def _tombstone(row: Document) -> str:
    """One for whoever lost theirs: nobody's id, and the same at every look. The user stays away by the row's name."""
    return f"forgotten-{hashlib.sha256(row['_id'].encode('utf-8', 'replace')).hexdigest()[:32]}"


def _always(_: Mapping[str, Any]) -> bool:
    return True


def _is_emitted(row: Mapping[str, Any]) -> bool:
    return row.get("status") == ChunkStatus.EMITTED.value


def _is_rolled(row: Mapping[str, Any]) -> bool:
    return row.get("status") == ChunkStatus.ROLLED.value


def _is_closed(row: Mapping[str, Any]) -> bool:
    return _is_emitted(row) or _is_rolled(row)


def _of_source(row: Mapping[str, Any]) -> bool:
    """Whether a watermark has moved: then there was a pass."""
    return row.get("value") is not None


_TIME, _TEXT, _WHOLE = Field(TIME), Field(TEXT), Field(WHOLE)
LETTERS = ("task", "answer", "ask", "done")  # what a run and a worker have written to each other last
SHAPES: dict[str, Shape] = {
    "step": Shape(r"step:[0-9]+", {
        "number": _WHOLE, "name": _TEXT, "by": _TEXT, "at": _TIME, "startedAt": _TIME, "finishedAt": _TIME,
        # as applied, so that a switch that somebody turned off stays off until a person agrees
        "status": Field(status(StepStatus), instead=lambda row: StepStatus.APPLIED.value),
        "run": _TEXT, "made": Field(NAMES), "was": Field(FLAG_BEFORE, null=True), "rolling": Field(ROLLING, null=True),
        "strays": Field(YES_OR_NO, instead=lambda row: True),
    }, f"{NEXT_RUN} does without it"),
    "run": Shape(r"run:.+", {
        "verb": Field(TEXT, due=_always), "options": Field(OPTIONS), "startedAt": Field(TIME, due=_always),
        "endedAt": _TIME, "by": _TEXT, "heldSince": _TIME, "outcome": Field(status(RunStatus), due=_always),
        "error": Field(TEXT, null=True), "held": Field(TEXT, null=True),
        "heldEnds": Field(TEXT, null=True), "progress": Field(PROGRESS),
        "marks": Field(MARKS),
    }, "", record=_always),
    "worker": Shape(r"worker:.+", {
        "run": _TEXT, "holder": Field(HOLDER, null=True), "by": _TEXT, "at": _TIME, "startedAt": _TIME, "tasks": _WHOLE,
        "documents": _WHOLE, "seconds": Field(NUMBER), **dict.fromkeys(LETTERS, Field(LETTER)),
    }, "a run removes it, and the worker joins once more", record=_always),
    "chunk": Shape(r"chunk:.+:[0-9]{1,15}:[0-9]{1,15}:[0-9]{1,15}", {
        "source": Field(TEXT, instead=_part(0, number=False), due=_always),
        "pass": Field(WHOLE, instead=_part(1), due=_always), "span": Field(WHOLE, instead=_part(2), due=_always),
        "number": Field(WHOLE, instead=_part(3), due=_always),
        "status": Field(status(ChunkStatus), needed=True), "attempts": Field(WHOLE, instead=lambda row: 2),
        "run": _TEXT, "claimedAt": _TIME, "seconds": Field(NUMBER), "error": Field(TEXT, null=True),
        "closedAt": Field(TIME, instead=lambda row: EPOCH, due=_is_closed),
        "counts": Field(COUNTS, instead=lambda row: {}, due=_is_closed),
        "users": Field(LIST, null=True, instead=lambda row: None, due=_is_emitted),  # null is everyone
        "reasons": Field(COUNTS), "salvaged": Field(YES_OR_NO),
    }, f"{NEXT_RUN} reads the source from the beginning", _chunk_problem, record=_is_rolled),
    "watermark": Shape(r"watermark:.*", {
        "value": Field(TIME, null=True), "pass": Field(PASS, instead=lost_pass, due=_of_source), "since": _TIME,
        "wholeAt": _TIME, "freshAt": _TIME, "rules": Field(RULES), "start": Field(TIME, null=True),
        "ends": Field(LIST, null=True, instead=lambda row: None),
        "mixed": Field(YES_OR_NO),
        "chosen": Field(MOMENT), "config": Field(MOMENT),
        "digest": Field(TEXT, instead=lambda row: "", due=lambda row: row["_id"] == "watermark::rules"),
    }, f"{NEXT_RUN} reads the source from where that is certain"),
    "verdict": Shape(r"verdict", {
        "passed": Field(YES_OR_NO, needed=True), "covers": Field(TEXT, null=True, needed=True),
        "at": Field(TIME, needed=True), "users": Field(WHOLE, needed=True), "entries": Field(WHOLE, needed=True),
        "mismatches": Field(WHOLE, needed=True), "first": Field(NAMES), "options": Field(RECORD),
        "rules": Field(TEXT, instead=lambda row: ""), "level": Field(LEVEL, instead=lambda row: "sample"),
        "seconds": Field(NUMBER), "bound": Field(BOUND, null=True, instead=lambda row: NO_BOUND),
        "parts": Field(RECORDS), "periods": Field(RECORDS), "kinds": Field(COUNTS), "found": Field(MISMATCHES),
        "pace": Field(LIST), "skipped": Field(NAMES), "pending": _WHOLE,
        "findings": Field(COUNTS), "later": Field(NAMES),
    }, "it counts as not verified yet; next: lbmigrate verify"),
    "verification": Shape(r"verification", {
        "rules": Field(TEXT, needed=True), "covers": Field(TEXT, null=True, needed=True),
        "at": Field(TIME, needed=True), "seal": Field(TEXT, needed=True),
        "phase": Field(WHOLE, needed=True), "after": Field(ANYTHING, needed=True), "totals": Field(TOTALS, needed=True),
    }, "the next full verification begins from the beginning"),
    "lock": Shape(r"lock|lock:tail|lock:boards", {
        "fence": Field(FENCE, due=_always),
        "expiresAt": Field(TIME, instead=lambda row: dt.datetime.max, due=_always),
        "holder": Field(HOLDER, null=True, instead=lambda row: dict(NOBODY_KNOWN)), "run": Field(TEXT, null=True),
        "renewedAt": _TIME,
    }, "who is at work puts it right within a minute; if nobody is: lbmigrate unlock"),
    "control": Shape(r"control", {
        "paused": Field(PAUSE, null=True), "tuned": Field(TUNED, null=True),
    }, "nobody is held; next: lbmigrate pause, or lbmigrate resume"),
    "tail": Shape(r"tail", {
        "token": Field(TOKEN, null=True), "reached": _TIME, "at": _TIME, "stoppedAt": Field(TIME, null=True),
        "lag": Field(NUMBER), "changes": _WHOLE,
        "events": _WHOLE, "deletes": _WHOLE, "held": Field(TEXT, null=True),
        "missed": Field(MISSED, null=True, instead=lambda row: {"since": None, "full": True, "passes": None}),
    }, "the next tail follows from then on, and what was before is backfilled; next: lbmigrate tail"),
    "backup": Shape(r"backup", {
        "how": _TEXT, "ref": _TEXT, "by": _TEXT, "at": _TIME, "digest": _TEXT, "made": Field(NAMES),
    }, "next: lbmigrate backup"),
    "odd": Shape(r"odd", {
        "count": Field(WHOLE, needed=True),
    }, "no reconciliation counts as done; next: lbmigrate reconcile"),
    "ledger": Shape(r"ledger", {
        "database": Field(TEXT, needed=True), "identities": Field(IDENTITIES, needed=True),
        "counts": Field(COUNTS, null=True, instead=lambda row: None),
    }, f"{NEXT_RUN} notes which collections it describes"),
    "entries": Shape(r"entries", {  # where they are (`schema.layout`); without this row all are in one collection
        "until": Field(TEXT, instead=lambda row: ALL, due=_always), "after": Field(TEXT, null=True),
        "moving": Field(YES_OR_NO, instead=lambda row: True, due=_always), "archived": Field(NAMES),
        "order": _TEXT, "coming": _TEXT,
    }, f"{NEXT_RUN} looks where entries are, and moves what is not where it belongs"),
    "newcomers": Shape(r"newcomers", {
        "after": Field(NAMES, needed=True),
    }, f"{NEXT_RUN} looks at every event that others have put into the ledger"),
    "rejects": Shape(r"rejects", {
        "after": Field(TEXT, null=True, needed=True),
    }, f"{NEXT_RUN} begins with the first reject"),
    "profiles": Shape(r"profiles", {
        "value": Field(TIME, null=True, needed=True),
    }, f"{NEXT_RUN} looks at every user once more"),
    "zones": Shape(r"zones", {
        "users": Field(WHOLE, needed=True), "absent": Field(WHOLE, needed=True),
        "unknown": Field(WHOLE, needed=True), "example": Field(TEXT, needed=True),
    }, f"{NEXT_RUN} counts the users without a time zone once more"),
    "boards": Shape(r"boards", {
        "stale": Field(YES_OR_NO, instead=lambda row: True, due=_always), "since": _TIME, "why": _TEXT,
        "failure": _TEXT, "rebuiltAt": _TIME,
    }, "the boards in Redis count as stale; next: lbmigrate boards rebuild"),
    "ranks": Shape(r"ranks|ranks:.+", {  # `entries` is of the row without a period: how many there were
        "version": Field(OBJECT_ID), "bounds": Field(BYTES), "counts": Field(BYTES), "of": _TEXT,
        "changing": Field(RECORD), "entries": _WHOLE,
    }, f"ranks of that period are counted until {NEXT_RUN} has computed its histogram again", _ranks_problem),
    "forgotten": Shape(r"forgotten:.+", {
        "tombstone": Field(ID, instead=_tombstone, due=_always), "at": _TIME, "again": Field(YES_OR_NO),
    }, f"whoever has left stays away; {NEXT_RUN} puts it right"),
    SALT: Shape(SALT, {"salt": Field(BYTES, due=_always), "keyCheck": _TEXT}, f"next: {NO_SALT}"),
}  # fmt: skip
