"""Narration for machines: one JSON object a line on stderr, each with the name of an event and its facts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from lbmigrate.console.format import jsonable
from lbmigrate.records import Document, Listener, Piece, Report, Tally
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

EVERY = 5.0  # seconds between two lines about one subject that counts nothing
QUIET = frozenset({"info"})  # what is left out where only what matters is to be said


def utc_now() -> dt.datetime:
    """This host's time, to be read anywhere."""
    return dt.datetime.now(dt.UTC)


@dataclass(slots=True)
class JsonLog:
    """Writes events to a stream. Between a run's start and its finish each has the run and the verb."""

    stream: TextIO
    clock: Callable[[], float]
    quiet: bool = False
    now: Callable[[], dt.datetime] = utc_now
    _of: Document = field(default_factory=dict)
    _told: dict[str, float] = field(default_factory=dict)
    _held_by: str = ""

    def event(self, name: str, level: str = "info", **facts: Any) -> None:
        """One line. What of others it quotes is one line too, and no secret is in it."""
        if self.quiet and level in QUIET:
            return
        head = {"at": self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"), "level": level}
        document = {**head, "event": name, **self._of, **facts}
        self.stream.write(json.dumps(_clean(jsonable(document)), separators=(",", ":"), allow_nan=False) + "\n")
        self.stream.flush()

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Within the block, what is reported to the listener becomes events."""
        yield self._hear

    def _hear(self, report: Report) -> None:
        match report.event:
            case "start":
                facts = dict(report.facts)
                self._of = {name: facts.pop(name) for name in ("run", "verb")}
                self.event("run_started", **facts)
            case "finish":
                ended = {name: value for name, value in report.facts.items() if name not in self._of}
                self.event("run_ended", "info" if report.facts.get("outcome") == "done" else "warning", **ended)
                self._of = {}
            case "begin" | "end":
                name = "work_begun" if report.event == "begin" else "work_done"
                self.event(name, work=str(report.work), way=report.way.value, **_counted(report.counts))
            case "piece":
                self._piece(report.piece or Piece(""))

    def _piece(self, piece: Piece) -> None:
        held_by = (piece.hold_kind or piece.held) if piece.held else ""
        if held_by != self._held_by:  # not the words: a lag that grows is one hold
            told = {"reason": piece.held, "kind": piece.hold_kind, "ends": piece.ends} if piece.held else {}
            self.event("held" if piece.held else "released", "warning" if piece.held else "info", **told)
            self._held_by = held_by
        if piece.note:
            self.event("note", message=piece.note)
        if piece.warning:
            self.event("warning", "warning", message=piece.warning)
        due = self.clock() - self._told.get(piece.subject, float("-inf")) >= EVERY
        if piece.counts is not None or (piece.done and due):
            self._told[piece.subject] = self.clock()
            far: Document = {"subject": piece.subject, "done": piece.done, "total": piece.total, "unit": piece.unit}
            self.event("chunk_done" if piece.counts is not None else "progress", **far, **_counted(piece.counts))


def _counted(counts: Tally | None) -> Document:
    return {} if counts is None else asdict(counts)  # type: ignore[call-overload]  # every tally is one


def _clean(value: Any) -> Any:
    """Without secrets, and without what is no text, in every text of a document."""
    if isinstance(value, str):
        return plain(hidden(value))
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
