"""What a verification came to: every mismatch with its kind, and how much of what there is was looked at.

`Verification.row` is how it is kept in the state as the verdict, `Verification.of` reads that row back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.limits import short
from lbmigrate.verify.kinds import MEANING, Heal, Kind

KEPT = 100  # mismatches that a verdict carries
SHOWN = 1_000  # characters of a text in it


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is wrong.

    `subject` names the collection. `id` is the `_id` of the entry, event or source document, or the name of an index;
    None for what has none; `source` is the `_id` of the source document, where it is about one. `field` is what
    differs, `found` what is there and `expected` what should be; None where there is nothing. `reason` is a sentence,
    `lasted` for how many seconds it was seen to stand.
    """

    kind: Kind
    subject: str
    id: Any = None
    user: Any = None
    period: str | None = None
    field: str = ""
    found: Any = None
    expected: Any = None
    reason: str = ""
    heals: Heal = Heal.PERSON
    lasted: float = 0.0
    source: Any = None
    finding: bool = False  # explained by a document that changed or went since: told, and no failure

    def __str__(self) -> str:
        return self.reason or f"{self.subject} {excerpt(self.id)}: {MEANING[self.kind]}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same mismatch when it is looked at again."""
        return self.kind.value, self.subject, repr(self.id), self.field

    @property
    def is_unscored(self) -> bool:
        """Whether a document in scope has no event of any kind, and nothing explains that."""
        return self.kind is Kind.UNSCORED_SOURCE and self.heals is Heal.BACKFILL and not self.finding

    def row(self) -> Document:
        """As it is exported and kept: plain values, kinds as words."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a verification: how many of how many were checked, and how many were wrong.

    `name` is `entries`, `events`, `sources`, `sums`, `structure` or `query`; `unit` is what is counted.
    """

    name: str
    checked: int
    total: int
    wrong: int = 0
    unit: str = "documents"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """What a sample says of everything: `wrong` of `checked` users, drawn from `population`, were wrong.

    With `confidence` no more than the share `rate` of the population is. `words` says so in a sentence.
    """

    population: int
    checked: int
    wrong: int
    confidence: float
    rate: float
    words: str


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """One period: its entries and what they add up to, beside what the events add up to.

    `source_points` is what the sources are worth by an independent reading; None where the level did not read all.
    """

    period: str
    entries: int
    points: int
    events: int
    ledger_points: int
    ledger_events: int
    source_points: int | None = None
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification that has ended. `level` is `sample` or `full`; `skipped` says what could not be looked at.

    `covers` is the emission that it covers, `rules` the digest of the configuration. `mismatches` are the first
    KEPT, `kinds` has how many there were of each. `pace` has pairs (seconds since it began, documents read until then).
    Skipped is not passed. `findings` are explained differences by what settles them (`later` has the first), `pending`
    documents that the next backfill reads.
    """

    level: str
    passed: bool
    at: dt.datetime
    covers: str | None
    rules: str
    seconds: float
    users: int
    entries: int
    bound: Bound | None = None
    parts: tuple[Part, ...] = ()
    periods: tuple[PeriodRow, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()
    pace: tuple[tuple[float, int], ...] = ()
    skipped: tuple[str, ...] = ()
    findings: Mapping[str, int] = field(default_factory=dict)
    later: tuple[str, ...] = ()
    pending: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wrong(self) -> int:
        """How many mismatches there were."""
        return sum(self.kinds.values())

    def row(self) -> Document:
        """The verdict as it is kept in the state."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {
            "mismatches": self.wrong,
            "first": [str(each) for each in self.mismatches],
            "found": [each.row() for each in self.mismatches],
            "bound": asdict(self.bound) if self.bound else None,
            "parts": [asdict(each) for each in self.parts],
            "periods": [asdict(each) for each in self.periods],
            "pace": [list(each) for each in self.pace],
            "skipped": list(self.skipped),
            "later": list(self.later),
            "findings": dict(self.findings),
            "kinds": dict(self.kinds),
            "options": dict(self.options),
        }

    @classmethod
    def of(cls, row: Document) -> Verification:
        """What `row` wrote. A verdict of an earlier version has no parts and no typed mismatches."""
        given = {each.name: row[each.name] for each in fields(cls) if each.name in row}
        bound = row.get("bound")
        return cls(**{
            **{"level": "sample", "rules": "", "seconds": 0.0},
            **given,
            "bound": Bound(**bound) if bound else None,
            "parts": tuple(Part(**each) for each in row.get("parts", ())),
            "periods": tuple(PeriodRow(**each) for each in row.get("periods", ())),
            "kinds": dict(row.get("kinds", {})),
            "mismatches": tuple(map(mismatch_of, row.get("found", ()))),
            "pace": tuple((seconds, documents) for seconds, documents in row.get("pace", ())),
            "skipped": tuple(row.get("skipped", ())),
            "later": tuple(row.get("later", ())),
            "findings": dict(row.get("findings", {})),
        })  # fmt: skip


def mismatch_of(row: Document) -> Mismatch:
    """What `Mismatch.row` wrote, or `to_run`."""
    return Mismatch(**{**row, "kind": Kind(row["kind"]), "heals": Heal(row["heals"])})


def to_run(found: Mismatch) -> Document:
    """A mismatch as a worker tells it: with its very values."""
    row = {each.name: getattr(found, each.name) for each in fields(found)}
    return {**row, "kind": found.kind.value, "heals": found.heals.value}


def _plain(value: Any) -> Any:
    """A value as the state and JSON can hold it, and no longer than it takes to recognise it."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str):
        return value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_SCORE:
        return str(value)
    return short(value)
