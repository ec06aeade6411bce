"""What came of documents that became events, and whether the ledger may have had these before."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from lbmigrate.records import Counts, Document
from lbmigrate.run.additions import Added

if TYPE_CHECKING:
    from lbmigrate.values.raw_bson import Column


@dataclass(frozen=True, slots=True)
class Emitted:
    """What came of some documents: their counts, and whose entries may have changed, a user for each event.

    `columns` have users too, as BSON has them.

    `isolated` are those of the rejected that could not be read or stored, and so stopped the others for a while.
    `rejects` has the reasons for those that are kept, by the ids of their rows. `worth` has the events themselves, by
    the `_id` that they have in the ledger; of a first look, which settles nothing, it has none. `added` are those of
    them of which is known what the entries were before (`ledger.fold`), and `there` has all, as the ledger has them.
    """

    counts: Counts = Counts()
    users: list[Any] = field(default_factory=list)
    isolated: int = 0
    rejects: dict[str, str] = field(default_factory=dict)
    worth: dict[str, Document] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    added: Added = field(default_factory=Added)
    there: dict[str, Document] = field(default_factory=dict)

    def touched(self) -> list[Any]:
        """Whose entries may have changed, each once."""
        distinct = (user for column in self.columns for user in column.distinct())
        return list(dict.fromkeys([*self.users, *distinct]))

    def __add__(self, other: Emitted) -> Emitted:
        return Emitted(
            self.counts + other.counts,
            self.users + other.users,
            self.isolated + other.isolated,
            self.rejects | other.rejects,
            self.worth | other.worth,
            self.columns + other.columns,
            self.added + other.added,
            self.there | other.there,
        )


class Seen(Enum):
    """Whether the events of some documents may be in the ledger already, and why."""

    NEVER = "never"  # a first pass: nothing but live writes can have been faster
    OVERLAP = "overlap"  # a later pass re-reads the time before its watermark
    RETRY = "retry"  # an attempt that was not checkpointed may have inserted any of them
