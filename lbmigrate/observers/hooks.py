"""Programs of the operator's own, called when a run starts, gets on, is held, ends, and when a verdict is there.

They are the executable files of one directory. A file's name says what it is called for: `start`, `held`, or with more
behind it, `finished-mail`, `finished.10`. They get facts as variables, and nothing else of our environment but what a
program cannot do without: no URI and no password. One that is called for `start` and ends with another status than 0
forbids the run.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbmigrate.errors import Refused, UsageError
from lbmigrate.records import Checkpoint, Document, Piece, Report
from lbmigrate.state.statuses import RunStatus
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

EVENTS = ("start", "progress", "held", "finished", "failed", "verdict")
NAME = re.compile(rf"({'|'.join(EVENTS)})(?:[-._].*)?")
PREFIX = "HOOK_"  # of the facts: with our own prefix a hook could not type a command of ours
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
EVERY = 30.0  # seconds between two calls for progress
PATIENCE = 60.0  # seconds for one of them
SHOWN = 200  # characters of what one says
GOOD_ENDS = frozenset({RunStatus.DONE, RunStatus.WORK_REMAINS, RunStatus.STOPPED})


@dataclass(slots=True)
class Hooks:
    """Calls the programs of a directory. `warn` tells of one that failed; the run goes on."""

    directory: Path
    warn: Callable[[str], None]
    monotonic: Callable[[], float] = time.monotonic
    _facts: Document = field(default_factory=dict)
    _called: float = float("-inf")
    _held: str = ""

    def __post_init__(self) -> None:
        if not self.directory.is_dir():
            raise UsageError(f"--hooks {self.directory} is no directory", "name the directory that has the programs")
        for path in self._files():
            if not os.access(path, os.X_OK):
                self.warn(f"{path} is not executable, so it is not called; next: chmod +x {path}")

    def __call__(self, report: Report) -> None:
        """Hear of a run. Raises Refused where a program forbids its start."""
        if report.event == "start":
            self._facts, self._called, self._held = dict(report.facts), self.monotonic(), ""
            self._call("start", {}, forbids=True)
        elif report.event == "finish":
            good = report.facts.get("outcome") in GOOD_ENDS
            self._call("finished" if good else "failed", report.facts)
        elif report.piece is not None and self._facts:
            self._piece(report.piece)

    def _piece(self, piece: Piece) -> None:
        if piece.held and not self._held:
            self._call("held", {"reason": piece.held, "kind": piece.hold_kind, "ends": piece.ends})
        self._held = piece.held
        if isinstance(piece.checkpoint, Checkpoint) and piece.checkpoint.row == "verdict":
            fields = piece.checkpoint.fields
            self._call("verdict", {name: fields.get(name) for name in ("passed", "mismatches", "users", "entries")})
        elif piece.done and self.monotonic() - self._called >= EVERY:
            self._called = self.monotonic()
            self._call("progress", {"subject": piece.subject, "done": piece.done, "total": piece.total})

    def _files(self, event: str = "") -> Iterator[Path]:
        found = ((path, NAME.fullmatch(path.name)) for path in sorted(self.directory.iterdir()) if path.is_file())
        return (path for path, named in found if named and (not event or named[1] == event))

    def _call(self, event: str, facts: Mapping[str, Any], forbids: bool = False) -> None:
        environment = {**_passed_on(), **_variables({**self._facts, **facts, "event": event})}
        for path in self._files(event):
            if os.access(path, os.X_OK) and (failed := _failure(path, environment)):
                if forbids:
                    raise Refused(
                        f"{path} does not want this run: {failed}", "see to what it says, then the same again"
                    )
                self.warn(f"{path} failed: {failed}")


def _failure(path: Path, environment: dict[str, str]) -> str:
    """What a program that was called came to; empty where all went well. It reads nothing and writes to nobody."""
    try:
        done = subprocess.run(
            [path.absolute()],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {PATIENCE:.0f} s"
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    return f"exit code {done.returncode}" + (f": {plain(hidden(said))[-SHOWN:]}" if said else "")


def _passed_on() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _variables(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as variables: `HOOK_RUN`, `HOOK_OUTCOME`; what is unknown is empty, and no secret is among them."""
    simple = {name: value for name, value in facts.items() if not isinstance(value, Mapping)}
    return {f"{PREFIX}{name.upper()}": _text(value) for name, value in simple.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(hidden(str(value)))
