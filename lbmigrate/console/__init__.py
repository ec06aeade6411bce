"""Everything an operator sees: results on stdout, narration and progress on stderr. The engine only reports."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import RenderableType

from lbmigrate.console import tables
from lbmigrate.console.columns import facts
from lbmigrate.console.format import cell, jsonable
from lbmigrate.console.json_log import JsonLog
from lbmigrate.console.places import board
from lbmigrate.console.progress import Progress
from lbmigrate.console.screen import Screen, said
from lbmigrate.console.streams import lossy, opened
from lbmigrate.errors import ConfigError, LbmigrateError, Problem, WorkRemains
from lbmigrate.records import Document, Listener, amount
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import without_known

if TYPE_CHECKING:
    from lbmigrate.board.place import Place
    from lbmigrate.checks.finding import Finding
    from lbmigrate.counter.agreement import Agreement
    from lbmigrate.estimate.estimate import Estimate
    from lbmigrate.explain.explanation import Explanation
    from lbmigrate.feature_flag import Switches
    from lbmigrate.ledger.reject_groups import Group
    from lbmigrate.migration.plan import Plan
    from lbmigrate.migration.status import Status

__all__ = ["Console"]


class Console:
    """One verb's voice. `as_json` keeps stdout for one object, `quiet` keeps to results, warnings and errors.

    With `json_log` all narration is events, an object a line; errors as well.
    `clock` counts seconds from anywhere; rates and times left are reckoned with it.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        json_log: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._as_json, self._quiet, self._clock = as_json, quiet, clock
        told = opened(stderr or sys.stderr)
        self._out, self._err = Screen(opened(stdout or sys.stdout)), Screen(told, for_narration=True)
        self._log = JsonLog(lossy(told), clock, quiet) if json_log else None

    @property
    def as_json(self) -> bool:
        """Whether stdout is for one object."""
        return self._as_json

    @property
    def is_live(self) -> bool:
        """Whether stdout is a terminal on which lines can be drawn again."""
        return self._out.live

    # --- narration, on stderr ----------------------------------------------------------------------------------

    def header(self, uri: str, database: str, detail: str = "") -> None:
        """The first words of every verb: which server (its URI already redacted) and which database."""
        if self._log:
            self._log.event("connected", server=uri, database=database, **({"detail": detail} if detail else {}))
        elif not self._quiet:
            more = f"  {plain(detail)}" if detail else ""
            server, name = plain(uri), plain(database)
            self._err.line(("server ", "dim"), server, ("  database ", "dim"), (name, "bold"), (more, "dim"))

    def listening(self) -> AbstractContextManager[Listener]:
        """Within the block, a run that reports to the listener is shown as it goes."""
        if self._log:
            return self._log.listening()
        return Progress(self._err, self._clock, self._quiet).shown()

    def note(self, text: str) -> None:
        if self._log:
            self._log.event("note", message=text)
        elif not self._quiet:
            self._err.sentence("·", text)

    def warning(self, text: str) -> None:
        if self._log:
            self._log.event("warning", "warning", message=text)
            return
        self._err.sentence("!", text, "yellow")

    def error(self, error: LbmigrateError) -> None:
        """What failed, line by line where that is meant, every problem of a configuration, and the next thing to do."""
        if self._log:
            problems = [asdict(each) for each in getattr(error, "problems", ())]
            more = {"problems": problems} if problems else {}
            told = {"message": error.message, "next": error.hint, "code": error.exit_code}
            self._log.event("error", "error", **told, details=list(error.details), **more)
            return
        style = "bold yellow" if isinstance(error, WorkRemains) else "bold red"
        self._err.line(("lbmigrate:", style), f" {said(error.message)}")
        for line in error.details:
            self._err.line(f"  {said(line)}")
        if isinstance(error, ConfigError):
            file = error.message.rpartition(": ")[0]  # of "FILE: 3 problems"
            for problem in error.problems:
                self._err.line(f"  {_located(file, problem)}")
        if error.hint:
            self._err.line(("next: ", "dim"), (plain(without_known(error.hint)), "cyan"))

    # --- results, on stdout ------------------------------------------------------------------------------------

    def plan(self, plan: Plan) -> None:
        self._show(*tables.plan(plan))

    def estimate(self, found: Estimate, advice: Sequence[Finding]) -> None:
        """What a run will take, and what follows from that."""
        from lbmigrate.console.estimate import estimate  # noqa: PLC0415  see status

        self._show(*estimate(found, advice))

    def status(self, status: Status) -> None:
        from lbmigrate.console import standing  # noqa: PLC0415  it knows all that there is: only who shows it waits

        self._show(*standing.status(status))

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[Status], None]]:
        """Within the block, a status is shown in place of the one before; afterwards the last one stays."""
        from lbmigrate.console import standing  # noqa: PLC0415  as above

        with self._out.redrawn() as draw:
            yield lambda found: draw(standing.status(found))

    def say(self, line: str) -> None:
        """One line on stdout, as a monitor reads it."""
        if not self._as_json:
            self._out.write(f"{said(line)}\n")

    def board(self, period: str, places: Sequence[Place], highlight: Any | None = None) -> None:
        """The board, with the line of the user `highlight` set off."""
        self._show(board(period, places, highlight, self._out.terminal))

    def history(self, rows: Sequence[Document]) -> None:
        from lbmigrate.console import standing  # noqa: PLC0415  as above

        self._show(*standing.history(rows))

    def reject_groups(self, groups: Sequence[Group], total: int, number: int) -> None:
        """What is wrong with documents that could not be scored. Ids are whole at any width, and can be copied."""
        if self._as_json:
            return
        self._out.line(("Rejects", "bold"), f"  {total:,} in {amount(number, 'group')}" if total else "  none")
        for each in groups:
            self._out.line((f"{each.documents:>9,}  ", "bold"), f"{said(each.source)}: {said(each.reason)}")
            self._out.line(("           such as ", "dim"), said(str(each.example)))
            if each.said != each.reason:
                self._out.line(("           which says ", "dim"), said(each.said))
            if each.query:
                self._out.line(("           found by ", "dim"), said(each.query))

    def rejects(self, rows: Sequence[Document]) -> None:
        """Documents that could not be scored, each with its id, whole, and the reason below it."""
        if self._as_json:
            return
        self._out.line(("Rejects", "bold"), "" if rows else "  none")
        for row in rows:
            at = cell(row.get("createdAt"))
            self._out.line((f"{at}  ", "dim"), f"{said(str(row.get('source')))}  {said(str(row.get('sourceId')))}")
            self._out.line("  ", said(str(row.get("reason"))))

    def reject(self, row: Document, fields: Mapping[str, Any] | None) -> None:
        """One of them, with what its fields hold now."""
        known = (("document", "sourceId"), ("source", "source"), ("collection", "collection"), ("reason", "reason"))
        rows = [*known, ("rejected at", "createdAt"), ("by run", "run")]
        gone = [("now", "the document is gone, or stands in an array")] if fields is None else []
        held = [(f"now {path}", f"{value!r}") for path, value in (fields or {}).items()]
        self._show(facts([*((name, row.get(key)) for name, key in rows), *gone, *held]))

    def flag(self, switches: Switches, document: Mapping[str, Any]) -> None:
        """Both sides of the flag, and who set it last."""
        self._show(tables.flag(switches, document))

    def findings(self, findings: Sequence[Finding]) -> None:
        self._show(tables.findings(findings))

    def verdict(self, row: Mapping[str, Any], beside: Agreement | None = None) -> None:
        """What a verification found, and how the board agrees with an older counter where that was asked for."""
        from lbmigrate.console.agreement import agreement  # noqa: PLC0415  as above

        self._show(*tables.verdict(row), *(agreement(beside) if beside else ()))

    def explanation(self, found: Explanation) -> None:
        """Why a user's score is what it is."""
        from lbmigrate.console.explanation import explanation  # noqa: PLC0415  as above

        self._show(*explanation(found))

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], optional: Sequence[str] = ()
    ) -> None:
        """Any rows. The columns that are `optional` are left out where there is no room, the first of them first."""
        self._show(tables.generic(title, columns, rows, optional))

    def config_origins(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Each value of the configuration and where it was said."""
        self._show(tables.origins(rows))

    def text(self, text: str) -> None:
        """Text for a file or another program, as it is."""
        if not self._as_json:
            self._out.write(text if text.endswith("\n") else f"{text}\n")

    def result(self, document: Mapping[str, Any]) -> None:
        """With `--json`, the result as one line. All ASCII, so that no encoding can harm it."""
        if self._as_json:
            self._out.write(json.dumps(jsonable(document), separators=(",", ":"), allow_nan=False) + "\n")

    def _show(self, *views: RenderableType) -> None:
        if not self._as_json:
            self._out.draw(*views)


def _located(file: str, problem: Problem) -> str:
    """`file:line  path: message`, without the parts that are not known."""
    where = ":".join(str(part) for part in (file, problem.line) if part)
    path = f"{problem.path}: " if problem.path else ""
    return said(f"{where}  {path}{problem.message}".strip())
