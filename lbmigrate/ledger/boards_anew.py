"""The boards in Redis that follow the entries; made anew from these, each by whoever works for the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from lbmigrate.board.boards import Boards
from lbmigrate.board.redis_client import ANSWER, PATIENT, explained
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, Piece
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import Ask, Job, Way, others, shared_out
from lbmigrate.run.workers import Held, News

SUBJECT = "boards"


def boards_of(context: Context) -> Boards | None:
    """The boards in Redis that follow these entries; those of a rehearsal, which are in memory, have none."""
    if is_fake(context.target):
        return None
    answer = ANSWER if context.live else PATIENT  # an app is waiting, or nobody
    return Boards.of(context.config, context.target, context.state, answer)


@dataclass(frozen=True)
class Rebuilding(Job[str, tuple[str, int]]):
    """Rebuilds the board of a period: how many entries are on it. Where nobody helps, one after the other."""

    NAME: ClassVar[str] = "rebuild"

    context: Context

    def here(self, period: str) -> tuple[str, int]:
        boards = Boards.of(self.context.config, self.context.target, self.context.state)
        assert boards is not None, "who rebuilds boards has a redis.url"
        with explained(str(self.context.config.redis.url)):
            return period, boards.rebuild(period)

    def task(self, period: str) -> Document:
        return {"period": period}

    def came_to(self, period: str, found: Document) -> tuple[str, int]:
        return period, found["entries"]

    def hands(self) -> int:
        return others(self.context)


def _rebuild(context: Context, task: Document, _: Ask) -> Document:
    return {"entries": Rebuilding(context).here(task["period"])[1]}


WAYS: dict[str, Way] = {Rebuilding.NAME: _rebuild}


def rebuilt(context: Context, boards: Boards) -> Iterator[tuple[str, int] | Piece]:
    """Every board rebuilt: its period, and how many entries it has. Between them what is to be told."""
    return boards.rebuild_all(partial(_each, context))


def healed(context: Context, boards: Boards) -> Iterator[tuple[str, int] | Piece]:
    """The same where one is not to be believed; nothing else."""
    return boards.heal(partial(_each, context))


def _each(context: Context, periods: Sequence[str]) -> Iterator[tuple[str, int] | Piece]:
    for came in shared_out(Rebuilding(context), periods, ordered=True):
        yield came.on(Piece(SUBJECT)) if isinstance(came, Held | News) else came
