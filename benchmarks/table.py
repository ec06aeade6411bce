"""Results as plain text, in columns."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Target, medians, ratio
from benchmarks.rounds import Round

LABELS = {
    "floor": "floor: raw BSON read and written",
    "ours": "ours",
    "one-by-one": "ours, every document by itself",
    "re-run": "  re-run, nothing new",
    "verify": "  verify --full",
    "reconcile": "  reconcile, nothing to do",
    "incremental": "  incremental, 1,000 changes",
    "dry-run": "dry run ²",
    "merge": "$merge pipelines ¹",
    "upserts": "bulk upserts, one thread ¹",
    "loop": "loop, one document at a time ¹ ²",
}
HEADS = (
    "",
    "seconds",
    "× floor",
    "× ours",
    "client CPU s",
    "server CPU s",
    "client µs ³",
    "server µs ³",
    "peak MiB",
    "examined",
)
NOTES = """\
Medians over the rounds; ratios are taken within each round, and their median is shown. What takes long has one round.
Seconds and CPU are those of the work alone, without starting Python and connecting; the peak is that of the whole
process. The floor holds its finished documents in memory. `examined` counts the documents that the server looked at.
¹ computes less: no streak, no copies of names, nothing from which to resume
² scaled up from a part of the tasks, the loop from the first {slice:,} finished ones
³ of processor time for each of the {docs:,} tasks: what machines and versions can be compared by
Targets are meant for 1,000,000 documents: on few, what every run costs anyway outweighs the rest."""


def contest(rounds: Sequence[Round], docs: int, slice_: int) -> str:
    """A line for each contestant; `docs` are the tasks that there are."""
    found = medians(rounds)
    rows = [
        (
            LABELS[name],
            f"{found[name]['seconds']:.2f}",
            _ratio(ratio(rounds, name, "floor")),
            _ratio(ratio(rounds, name, "ours")),
            f"{found[name]['client_cpu']:.2f}",
            f"{found[name]['server_cpu']:.2f}",
            _micros(found[name]["client_cpu"], docs),
            _micros(found[name]["server_cpu"], docs),
            f"{found[name]['peak_mb']:.0f}",
            f"{found[name]['examined']:,.0f}",
        )
        for name in LABELS
        if name in found
    ]
    return f"{columns([HEADS, *rows])}\n\n{NOTES.format(slice=slice_, docs=docs)}"


def verdicts(targets: Sequence[Target]) -> str:
    """A line for each target."""
    rows = [(each.what, f"{each.relation} {each.limit:,g}", _figure(each.measured), each.verdict) for each in targets]
    return columns([("target", "wanted", "measured", ""), *rows])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned text, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _micros(seconds: float, docs: int) -> str:
    return f"{seconds / docs * 1e6:.1f}"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
