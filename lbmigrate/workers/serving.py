"""The side of a worker process: it carries out what the run hands to it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pymongo.errors import PyMongoError

from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo import errors_told
from lbmigrate.records import Document
from lbmigrate.telling import secrets
from lbmigrate.workers.at_work import answered, at_work, packed, unpacked
from lbmigrate.workers.ways import carry_out


@dataclass(frozen=True, slots=True)
class Order:
    """What a process has to know of the run that it works for, and which words are secrets."""

    config: Config
    run: str
    fence: int
    secrets: frozenset[str]


def serve(pipe: Connection, order: Order) -> None:
    """Carry out one task after another; before the first say that this process is ready, or why it is not."""
    secrets.keep(order.secrets)

    def ask(asked: Document) -> Document:
        pipe.send_bytes(packed({"ask": asked}))
        return unpacked(pipe.recv_bytes())

    with ExitStack() as later:
        try:
            context = later.enter_context(at_work(order.config, order.run, order.fence))
        except (LbmigrateError, PyMongoError) as error:  # there is no way to the server
            pipe.send(("error", errors_told.as_document(error)))
            return
        pipe.send(("ready", ""))
        while True:
            task = unpacked(pipe.recv_bytes())["task"]
            pipe.send_bytes(packed({"done": answered(carry_out(context, task, ask))}))
