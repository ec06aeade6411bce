"""Who else is to hear of a run, as it was typed, and in what form the narration is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lbmigrate.records import Listener


class LogFormat(StrEnum):
    """What is written to stderr: text for people, or JSON lines for programs."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Observers:
    """A file and a gateway for metrics, and a directory of programs; each may be left out."""

    metrics_file: Path | None = None
    metrics_push: str | None = None
    hooks: Path | None = None

    def listeners(self, warn: Callable[[str], None]) -> list[Listener]:
        """Those who hear of a run; hooks come first, as they may forbid it. Raises UsageError for what cannot be."""
        found: list[Listener] = []
        if self.hooks is not None:
            from lbmigrate.observers.hooks import Hooks  # noqa: PLC0415  only who has some needs them

            found.append(Hooks(self.hooks, warn))
        if self.metrics_file is not None or self.metrics_push:
            from lbmigrate.observers.metrics import Metrics  # noqa: PLC0415  an extra

            found.append(Metrics(warn, self.metrics_file, self.metrics_push or ""))
        return found


NOBODY = Observers()
