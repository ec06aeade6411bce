"""What a run comes to, and how everything stands after it, for Prometheus: a file of the node exporter, a Pushgateway.

Every run writes its own file, so what it says is of the last run of that verb. Ages are seconds at the time of writing;
an alert goes by the times beside them, which stay true between two runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.migration.status import Status
from lbmigrate.observers.push import push
from lbmigrate.observers.standing import set_standing
from lbmigrate.records import Checkpoint, Counts, Piece, Report
from lbmigrate.state.statuses import RunStatus
from lbmigrate.telling.secrets import hidden

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EVERY = 15.0  # seconds between two writings while a run goes on
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds of a chunk
LABELS = ("database", "verb")


@dataclass(slots=True)
class Metrics:
    """Adds up what it hears of a run, and writes it now and then. What cannot be written is told once."""

    warn: Callable[[str], None]
    file: Path | None = None
    gateway: str = ""
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _registry: CollectorRegistry | None = None
    _gauges: dict[str, Any] = field(default_factory=dict)
    _labels: tuple[str, ...] = ()
    _wrote: float = 0.0
    _seen: float = 0.0
    _held: str = ""
    _failed: bool = False  # once is told; while the run goes on, no gateway is waited for again

    def __post_init__(self) -> None:
        _library()
        if self.file is not None and not self.file.absolute().parent.is_dir():
            raise UsageError(f"--metrics-file {self.file}: there is no such directory", f"mkdir -p {self.file.parent}")

    def __call__(self, report: Report) -> None:
        if report.event == "start":
            self._begin(report)
        elif self._registry is None:
            return
        elif report.event == "finish":
            self._end(report)
        elif report.piece is not None:
            self._piece(report.piece)

    def _begin(self, report: Report) -> None:
        self._registry, self._gauges = _library().CollectorRegistry(), {}
        self._labels = (str(report.facts["database"]), str(report.facts["verb"]))
        self._seen, self._held = self.monotonic(), ""
        self._wrote = self.monotonic()
        self.gauge("run_started_timestamp_seconds", "When the last run began.").set(self.clock())
        chunks = _library().Histogram(
            "lbmigrate_chunk_seconds", "How long chunks took.", LABELS, registry=self._registry, buckets=BUCKETS
        )
        self._gauges["chunks"] = chunks.labels(*self._labels)

    def _piece(self, piece: Piece) -> None:
        now = self.monotonic()
        seconds, self._seen = now - self._seen, now
        if self._held:
            self.gauge("held_seconds", "How long the run was held, by what held it.", reason=self._held).inc(seconds)
        self._held = (piece.hold_kind or "other") if piece.held else ""
        if isinstance(piece.counts, Counts):
            self._documents(piece.counts)
        if isinstance(piece.checkpoint, Checkpoint) and "seconds" in piece.checkpoint.fields:
            self._gauges["chunks"].observe(float(piece.checkpoint.fields["seconds"]))
        if now - self._wrote >= EVERY:
            self._write()

    def _documents(self, counts: Counts) -> None:
        results = {"read": counts.read, "emitted": counts.emitted, "duplicate": counts.duplicates}
        for result, number in {**results, "rejected": counts.rejected, "skipped": counts.skipped}.items():
            self.gauge("run_documents", "Documents of the last run, by what became of them.", result=result).inc(number)

    def _end(self, report: Report) -> None:
        facts = report.facts
        active = facts["active"] or 0.0
        done = facts["outcome"] == RunStatus.DONE
        self.gauge("run_ended_timestamp_seconds", "When the last run ended.").set(self.clock())
        self.gauge("run_success", "1 when the last run did everything that was asked for.").set(int(done))
        self.gauge("run_seconds", "How long the last run took.").set(facts["seconds"])
        self.gauge("run_entries_written", "Entries that the last run wrote.").set(facts["entries"])
        self.gauge("run_events", "Events that the last run added.").set(facts["events"])
        rate = facts["documents"] / active if active else 0.0
        self.gauge("run_documents_per_second", "Documents a second of the last run's active time.").set(rate)
        for kind, seconds in facts["held"].items():
            self.gauge("held_seconds", "How long the run was held, by what held it.", reason=kind).set(seconds)
        with suppress(PyMongoError, LbmigrateError):
            found = report.look() if report.look else None
            if isinstance(found, Status):
                set_standing(self.gauge, found)
        self._write(last=True)

    def gauge(self, name: str, about: str, **labels: str) -> Any:
        """The gauge of this name, with its labels and those of all."""
        if name not in self._gauges:
            names = (*LABELS, *labels)
            self._gauges[name] = _library().Gauge(f"lbmigrate_{name}", about, names, registry=self._registry)
        return self._gauges[name].labels(*self._labels, *labels.values())

    def _write(self, last: bool = False) -> None:
        self._wrote = self.monotonic()
        try:
            if self.file is not None:
                _library().write_to_textfile(str(self.file), self._registry)  # beside it, then renamed
            if self.gateway and self._registry is not None and (last or not self._failed):
                push(self.gateway, self._registry, dict(zip(LABELS, self._labels, strict=True)))
        except (OSError, ValueError, HTTPException) as error:
            if not self._failed:
                self.warn(f"the metrics cannot be written: {hidden(str(error))}; the run goes on")
            self._failed = True


def _library() -> Any:
    """The client of Prometheus, or UsageError with what installs it."""
    try:
        import prometheus_client  # noqa: PLC0415  an extra: only who asks for metrics needs it
    except ImportError:
        raise UsageError("metrics need prometheus_client", "pip install 'lbmigrate[metrics]'") from None
    return prometheus_client
