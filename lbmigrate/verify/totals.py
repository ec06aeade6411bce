"""What a verification has come to so far, and how that is kept so that one that was stopped goes on from there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.verify.checked import Checked
from lbmigrate.verify.entries import Compared, Sums
from lbmigrate.verify.result import KEPT, Mismatch, Part, PeriodRow, mismatch_of

TOLD = 10  # findings that a verdict names
COUNTED = ("skipped", "users", "entries", "documents", "pending", "later")
PACE_POINTS = 200  # of the curve of documents over time
PERIODS = 600  # newest ones, that a verdict lists


@dataclass(slots=True)
class Totals:
    """Counts by part and by period, and what was found wrong: how often each kind, and the first KEPT of all."""

    kinds: Counter[str] = field(default_factory=Counter)
    heals: Counter[str] = field(default_factory=Counter)
    first: list[Mismatch] = field(default_factory=list)
    wrong_in: Counter[str] = field(default_factory=Counter)
    parts: dict[str, Part] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    points: Counter[str] = field(default_factory=Counter)
    pace: list[tuple[float, int]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    users: int = 0
    entries: int = 0
    documents: int = 0
    pending: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    later: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many mismatches there are."""
        return self.kinds.total()

    def add(self, mismatches: Sequence[Mismatch], *, ahead: bool = False) -> None:
        """Take in what stands after it was looked at again; `ahead` of all others what explains them."""
        if ahead:
            self.first = [*mismatches, *self.first][:KEPT]
        for each in mismatches:
            if each.finding:
                self.findings[each.heals.value] += 1
                self.later += [str(each)] if len(self.later) < TOLD else []
                continue
            self.kinds[each.kind.value] += 1
            self.heals[each.heals.value] += 1
            self.wrong_in[each.period or ""] += 1
            if len(self.first) < KEPT and not ahead:
                self.first.append(each)

    def compared(self, found: Compared) -> None:
        """Take in a slice of users."""
        self.users += found.users
        self.entries += found.entries
        self.documents += found.entries + found.events
        for period, sums in found.periods.items():
            self.sums[period].add(sums)

    def checked(self, found: Checked) -> None:
        """Take in a range of a source."""
        self.documents += found.documents + found.events
        self.pending += found.pending
        self.points += found.points

    def part(self, name: str, checked: int, total: int, wrong: int, unit: str, seconds: float) -> None:
        """Count for a part: entries, sources, structure, query."""
        before = self.parts.get(name, Part(name, 0, 0, 0, unit))
        self.parts[name] = Part(
            name, before.checked + checked, max(before.checked + checked, total), before.wrong + wrong, unit,
            round(before.seconds + seconds, 3),
        )  # fmt: skip

    def timed(self, seconds: float) -> None:
        """Note how many documents were read by now; the curve keeps its shape, and not every point."""
        self.pace.append((round(seconds, 2), self.documents))
        if len(self.pace) > PACE_POINTS:
            self.pace = self.pace[1::2]

    def periods(self, whole: bool) -> tuple[PeriodRow, ...]:
        """The table by period, the overall board first, then the newest; `whole` where all sources were read."""
        names = sorted(self.sums, key=lambda name: (name == "global", name), reverse=True)[:PERIODS]
        return tuple(self._period(name, whole) for name in names)

    def _period(self, name: str, whole: bool) -> PeriodRow:
        sums = self.sums[name]
        source_points = storable(self.points[name]) if whole else None
        return PeriodRow(
            name, sums.entries, storable(sums.points), sums.events, storable(sums.ledger_points), sums.ledger_events,
            source_points, self.wrong_in[name],
        )  # fmt: skip

    def row(self) -> Document:
        """As it is kept in the state."""
        return {
            "kinds": dict(self.kinds), "heals": dict(self.heals), "first": [each.row() for each in self.first],
            "wrong_in": list(map(list, self.wrong_in.items())),
            "parts": [asdict(each) for each in self.parts.values()],
            "sums": [
                [period, *(storable(getattr(sums, name)) for name in Sums.__slots__)]
                for period, sums in self.sums.items()
            ],
            "points": [[period, storable(points)] for period, points in self.points.items()],
            "pace": [list(each) for each in self.pace],
            "skipped": list(self.skipped), "users": self.users, "entries": self.entries,
            "documents": self.documents, "pending": self.pending,
            "findings": dict(self.findings), "later": list(self.later),
        }  # fmt: skip

    @classmethod
    def of(cls, row: Document) -> Totals:
        """What `row` wrote."""
        sums: dict[str, Sums] = defaultdict(Sums)
        sums |= {period: Sums(*numbers) for period, *numbers in row["sums"]}
        plain: dict[str, Any] = {name: row[name] for name in COUNTED}
        return cls(
            kinds=Counter(row["kinds"]), findings=Counter(row["findings"]), heals=Counter(row["heals"]),
            first=list(map(mismatch_of, row["first"])),
            wrong_in=Counter(dict(row["wrong_in"])), parts={each["name"]: Part(**each) for each in row["parts"]},
            sums=sums, points=Counter(dict(row["points"])), pace=[(each[0], each[1]) for each in row["pace"]], **plain,
        )  # fmt: skip


def storable(number: int) -> int:
    """A sum as the state can keep it: one that no long holds is the largest that one does, as it is of an entry."""
    return max(-LARGEST_SCORE, min(number, LARGEST_SCORE))
