"""What a range of the ledger and its sources came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lbmigrate.verify.result import Mismatch


@dataclass(slots=True)
class Checked:
    """What a range came to. `pending` are documents that the next backfill reads, `wrong` includes findings.

    `skipped` says why it could not be read; then it came to nothing.
    """

    documents: int = 0
    events: int = 0
    pending: int = 0
    wrong: list[Mismatch] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    skipped: str = ""

    def add(self, part: Checked) -> None:
        """Take in what another part came to."""
        self.documents += part.documents
        self.events += part.events
        self.pending += part.pending
        self.wrong += part.wrong
        self.points += part.points
