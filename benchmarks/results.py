"""From rounds to medians, ratios and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.rounds import Round
from benchmarks.stage import Figures

PARTIAL = ("loop", "dry-run")


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach: at most, or at least, so much."""

    what: str
    relation: str
    limit: float
    measured: float | None

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured <= self.limit if self.relation == "≤" else self.measured >= self.limit
        return "met" if met else "missed"


def scaled(rounds: Sequence[Round], qualifying: int) -> list[Round]:
    """The same, with the times of those who took a part of the tasks as if they had gone through everything."""
    return [
        {name: _scaled(figures, qualifying) if name in PARTIAL else figures for name, figures in each.items()}
        for each in rounds
    ]


def _scaled(figures: Figures, qualifying: int) -> Figures:
    factor = qualifying / max(1, figures["emitted"])
    return {name: value * factor if name not in ("emitted", "peak_mb") else value for name, value in figures.items()}


def medians(rounds: Sequence[Round]) -> dict[str, Figures]:
    """The median over the rounds of every figure of everybody."""
    return {
        name: {figure: median(each[name][figure] for each in rounds if name in each) for figure in rounds[0][name]}
        for name in rounds[0]
    }


def ratio(rounds: Sequence[Round], name: str, to: str) -> float | None:
    """How many times the seconds of `to` that `name` takes: compared within each round, then the median of these."""
    if name not in rounds[0] or to not in rounds[0]:
        return None
    return median(each[name]["seconds"] / each[to]["seconds"] for each in rounds if name in each and to in each)


def targets(rounds: Sequence[Round], kind: str) -> list[Target]:
    """What the product promises for tasks of one kind, and what was measured."""
    if kind == "layouts":
        return [Target("ours × the floor", "≤", 1.3, ratio(rounds, "ours", "floor"))]
    if kind == "shapeless":
        return [Target("ours × every document by itself", "≤", 1.05, ratio(rounds, "ours", "one-by-one"))]
    found = medians(rounds)
    peak = found["ours"]["peak_mb"] if "ours" in found else None
    examined = found["incremental"]["examined"] if "incremental" in found else None
    return [
        Target("ours × the floor", "≤", 1.2, ratio(rounds, "ours", "floor")),
        Target("$merge pipelines × ours", "≥", 2.5, ratio(rounds, "merge", "ours")),
        Target("bulk upserts × ours", "≥", 2.5, ratio(rounds, "upserts", "ours")),
        Target("the loop (scaled) × ours", "≥", 20.0, ratio(rounds, "loop", "ours")),
        Target("re-run with nothing new × ours", "≤", 0.1, ratio(rounds, "re-run", "ours")),
        Target("incremental run × ours", "≤", 0.03, ratio(rounds, "incremental", "ours")),
        Target("incremental run, documents examined", "≤", 20_000, examined),
        Target("peak memory of ours, MiB", "≤", 300, peak),
    ]


def memory_targets(small: Figures, large: Figures) -> list[Target]:
    """Whether memory stays flat while the history grows tenfold."""
    return [
        Target("peak memory of ours, MiB", "≤", 300, max(small["peak_mb"], large["peak_mb"])),
        Target("ten times the documents, × the peak", "≤", 1.15, large["peak_mb"] / small["peak_mb"]),
    ]
