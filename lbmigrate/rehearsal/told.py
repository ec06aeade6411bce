"""What is heard of a rehearsal: not what was done, for nothing was, but what would be."""

from __future__ import annotations

from dataclasses import replace

from lbmigrate.records import Listener, Report

FACT = "rehearsal"  # among the facts of a run's start and finish


def rehearsed(listen: Listener) -> Listener:
    """A listener to a rehearsal, for one who listens to runs."""

    def hear(report: Report) -> None:
        piece = report.piece
        if piece is not None and piece.would:
            report = replace(report, piece=replace(piece, note=piece.would))
        if report.event in ("start", "finish"):
            report = replace(report, facts={**report.facts, FACT: True})
        listen(report)

    return hear
