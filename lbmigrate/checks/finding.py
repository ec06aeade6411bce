"""A finding: how bad, about what, the fact, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lbmigrate.errors import Refused

Level = Literal["ok", "warning", "refusal"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up: how bad, about what, the fact, and what to do about it."""

    level: Level
    subject: str
    fact: str
    fix: str = ""


def refuse(findings: Iterable[Finding]) -> None:
    """Raise Refused for the first finding that forbids a run."""
    for finding in findings:
        if finding.level == "refusal":
            raise Refused(f"{finding.subject}: {finding.fact}", hint=finding.fix or "lbmigrate doctor")
