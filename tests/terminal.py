"""An operator's terminal: verbs typed, and what came of them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbmigrate.cli.main import status
from lbmigrate.records import Document
from tests.apps import SESSIONS, TASKS, UNHURRIED, USERS


def in_a_bare_place(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Go to a directory, with no variable of the toolkit set but the reference of a backup."""
    for name in [name for name in os.environ if name.startswith(("LBMIGRATE_", "MONGODB_"))]:
        if name != "LBMIGRATE_MONGOD":
            monkeypatch.delenv(name)
    monkeypatch.setenv("LBMIGRATE_BACKUP_REF", "what a test loses, it makes again")
    monkeypatch.chdir(directory)


@dataclass(frozen=True)
class Outcome:
    """What a verb ended with: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def hint(self) -> str:
        """What stands behind `next: ` in the error, on one line."""
        return " ".join(self.err.rpartition("next: ")[2].split())

    @property
    def result(self) -> Document:
        """The object that `--json` prints as the last line of stdout."""
        found: Document = json.loads(self.out.splitlines()[-1])
        return found


@dataclass(frozen=True)
class Terminal:
    """Types verbs into this very process: as the program does, but for its start."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    config: Path
    uri: str
    name: str

    def configure(self, *sources: Document, **parts: Any) -> Path:
        """Write the configuration: by default tasks and sessions, in chunks of five."""
        written = {
            "version": 1,
            "database": {"uri": self.uri, "name": self.name},
            "users": USERS,
            "sources": list(sources or [TASKS, SESSIONS]),
            "backfill": {"chunk_size": 5, "workers": 2, "target": None},
            "throttle": UNHURRIED,
            **parts,
        }
        self.config.write_text(yaml.safe_dump(written))
        return self.config

    def __call__(self, *words: str) -> Outcome:
        arguments = list(words)
        self.monkeypatch.setattr(sys, "argv", ["lbmigrate", *arguments])
        self.capsys.readouterr()
        code = status(arguments)
        out, err = self.capsys.readouterr()
        return Outcome(code, out, err)
