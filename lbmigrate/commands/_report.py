"""What is made of a verification: a file for people, and the board beside the counter that was there before."""

from __future__ import annotations

from pathlib import Path

from lbmigrate.config.model import Config
from lbmigrate.counter.agreement import Agreement
from lbmigrate.counter.compare import compare
from lbmigrate.counter.numbers import check
from lbmigrate.errors import UsageError
from lbmigrate.mongo.client import retrying
from lbmigrate.report import content, file
from lbmigrate.report.content import Surroundings
from lbmigrate.run.connection import Connection, opened
from lbmigrate.state.operator import operator
from lbmigrate.telling import secrets
from lbmigrate.verify.result import Verification


def compare_counter(where: Config | Connection, words: str) -> Agreement:
    """The global board beside an older counter, named as `users:points` or `leaderboards:score:userId`.

    Writes nothing, and is no part of any verdict. Raises UsageError for words that name no counter.
    """
    with opened(where) as connection:
        context = connection.context()
        counter = check(context, words)
        return retrying(lambda: compare(context, counter))


def check_counter(where: Config | Connection, words: str) -> None:
    """Raise UsageError for words that name no counter, before any work is done."""
    with opened(where) as connection:
        retrying(lambda: check(connection.context(), words))


def write_report(
    where: Config | Connection,
    path: str | Path,
    *,
    beside: Agreement | None = None,
    command: str = "lbmigrate verify",
) -> None:
    """Write the newest verdict to `path`, as a page (.html) or as Markdown (.md).

    `beside` adds how the board agrees with an older counter; `command` is what is said to have been typed. The file is
    readable for its owner alone. Raises UsageError where nothing was verified yet and for names of another form,
    Refused for a place where others could put something else, LbmigrateError where it cannot be written.
    """
    with opened(where) as connection:
        row = connection.state.get("verdict")
        if not row:
            raise UsageError("nothing was verified yet, so there is nothing to report", hint="lbmigrate verify")
        database = connection.config.database
        server = secrets.redact(database.uri)
        around = Surroundings(database.name, server, command, operator())
        file.write(content.report(Verification.of(row), around, beside), Path(path))
