"""Where the contestants meet: one server, one database of generated tasks, equal leaderboard collections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from lbmigrate import schema, state
from lbmigrate.config.model import Config
from lbmigrate.mongo import indexes
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable
from lbmigrate.records import Document

WORKERS = 2  # threads of ours and of the floor
POINTS = 10
ACTION = "task_complete"
DONE: Document = {"status": "done"}
LEADERBOARD = (schema.EVENTS, schema.ENTRIES, schema.REJECTS, state.COLLECTION, "feature_flags")

Figures = dict[str, float]
Work = Callable[[], Figures]  # what is timed; returns what only it can count


@dataclass(frozen=True, slots=True)
class Stage:
    """All that the process of a contestant needs to know. `slice` bounds how many documents the loop takes.

    `kind` is how alike the tasks are (`data.KINDS`).
    """

    uri: str
    directory: str
    docs: int
    slice: int = 2_000
    kind: str = "alike"

    @property
    def database(self) -> str:
        return f"bench_{self.docs}" if self.kind == "alike" else f"bench_{self.docs}_{self.kind}"

    @property
    def finished(self) -> Path:
        """Where the floor finds its finished documents."""
        return Path(self.directory, f"finished_{self.database}")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Stage:
        return cls(**json.loads(text))


def config(stage: Stage) -> Config:
    """The tasks of the starter configuration."""
    tasks = {
        "name": "tasks",
        "collection": "tasks",
        "action": ACTION,
        "where": DONE,
        "user": "userId",
        "at": "completedAt",
        "updated": "updatedAt",
        "points": POINTS,
        "meta": {"priority": "priority"},
    }
    users = {
        "display_name": ["displayName", "name"],
        "avatar": ["avatarUrl"],
        "opt_out": {"path": "settings.leaderboardOptOut", "missing": False},
    }
    return Config.model_validate(
        {
            "database": {"uri": stage.uri, "name": stage.database},
            "users": users,
            "sources": [tasks],
            "backfill": {"workers": WORKERS},
        }
    )


@contextmanager
def opened(stage: Stage) -> Iterator[Database[Any]]:
    """The database, with the concerns that the product uses: whatever is compared is equally safe."""
    with open_client(stage.uri) as client:
        yield durable(client[stage.database])


def clear(database: Database[Any]) -> None:
    """Remove every trace of a contestant, and let the server finish what it still has to write."""
    for name in LEADERBOARD:
        database.drop_collection(name)
    database.client.admin.command("fsync")


def set_up(database: Database[Any]) -> None:
    """Create the two collections as steps 1 and 2 do: with their validators and indexes."""
    for name in (schema.EVENTS, schema.ENTRIES):
        schema.create_collection(database, name)
    for index in (schema.EVENTS_BY_USER, schema.ENTRIES_BY_RANK, schema.ENTRIES_BY_USER):
        indexes.build(database, index.collection, [index.spec])
