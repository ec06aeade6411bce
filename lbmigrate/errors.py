"""What can go wrong, told the way an operator needs it: the subject, then the next command to type.

Every error that the product raises on purpose is one of these; its class decides the exit code, and one seam
(`lbmigrate.cli.main`) turns it into words and a status. The codes are a contract with cron jobs and CI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LbmigrateError(Exception):
    """Something failed. `hint` is the next thing to do, usually a command to type.

    A message is one line: line breaks in it come from what it quotes, and mean nothing. `details` are lines below it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file: where (`sources[0].at`), what, and the line if it is known."""

    path: str
    message: str
    line: int | None = None


class UsageError(LbmigrateError):
    """The command line or an argument cannot be used as it is."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration cannot be used; carries every problem found, not just the first."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)


class WorkRemains(LbmigrateError):
    """Nothing failed, but there is more to do (a look that found pending work, or a run that ended early)."""

    exit_code = 3


class Locked(LbmigrateError):
    """Another run holds the lock."""

    exit_code = 4


class LeaseLost(Locked):
    """This run held the lock and does not any more: it must not write another checkpoint."""


class Mismatch(LbmigrateError):
    """Verification found entries that differ from the ledger."""

    exit_code = 5


class Refused(LbmigrateError):
    """A safety check said no."""

    exit_code = 6


class Stopped(LbmigrateError):
    """A signal ended the run after its last piece was saved. `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number
