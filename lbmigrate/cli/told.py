"""What is made of a verification besides its verdict: the comparison with an old counter, and the report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lbmigrate import commands
from lbmigrate.cli.invocation import Invocation, command_line
from lbmigrate.commands._report import check_counter
from lbmigrate.errors import LbmigrateError, Mismatch
from lbmigrate.records import Document
from lbmigrate.report import file
from lbmigrate.run.connection import Connection


@dataclass(frozen=True, slots=True)
class Told:
    """What was asked for with `--against` and `--report`; `made` is what came of it, for `--json`."""

    against: str | None
    report: Path | None
    made: Document = field(default_factory=dict)

    def check(self, connection: Connection) -> None:
        """Raise, before anything is compared, where it cannot be made."""
        if self.report:
            file.check(self.report)
        if self.against:
            check_counter(connection, self.against)

    @contextmanager
    def following(self, this: Invocation, connection: Connection) -> Iterator[None]:
        """Make it after the verification within the block, also of one that found something wrong.

        That is when it is needed most; and what goes wrong with it then does not hide what was found.
        """
        try:
            yield
        except Mismatch:
            if not connection.is_untouched():
                self._in_spite(this, connection)
            raise
        self._make(this, connection)

    def _in_spite(self, this: Invocation, connection: Connection) -> None:
        try:
            self._make(this, connection)
        except LbmigrateError as error:
            this.console.warning(f"{error.message}; next: {error.hint}")

    def _make(self, this: Invocation, connection: Connection) -> None:
        if self.against:
            self.made["against"] = commands.compare_counter(connection, self.against)
        if self.report:
            beside = self.made.get("against")
            commands.write_report(connection, self.report, beside=beside, command=command_line())
            self.made["report"] = self.report
            this.console.note(f"wrote the report to {self.report}")
