"""What is left to read of one source, with what a sample of it showed."""

from __future__ import annotations

from dataclasses import dataclass

from lbmigrate.config.model import Source
from lbmigrate.estimate.sample import Sample
from lbmigrate.values import formula


@dataclass(frozen=True, slots=True)
class Reading:
    """What is left to read of one source: documents in scope and examined ones, with what a sample of them showed.

    `first` is whether none of it was read before, and `again` whether all of it is read once more; `added` are events,
    those that are in the ledger already included where it is. Of a first pass that has begun, `entered` are the events
    of its closed chunks, and `in_hand` the documents of the others at most, whose events may be in the ledger already.
    """

    source: Source
    documents: float
    examined: float
    first: bool
    again: bool
    added: float
    seen: Sample
    entered: float = 0.0
    in_hand: float = 0.0

    @property
    def apart(self) -> float:
        """Documents that are scored one by one."""
        return self.documents * self.seen.share("apart", 0.0 if self.first else 1.0)

    @property
    def rows(self) -> float:
        """What is scored: documents, or the elements of their arrays."""
        return max(self.documents, self.apart)

    @property
    def scoring(self) -> float:
        """Processor seconds of this machine."""
        return self.documents * self.seen.share("scoring", 0.0)

    @property
    def calls(self) -> bool:
        """Whether a Python function says what a document is worth."""
        return formula.is_function(str(self.source.points))
