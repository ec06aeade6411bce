"""What a tail did not follow, for those who look, and what closes such a gap."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from lbmigrate.config.model import Config
from lbmigrate.records import Document
from lbmigrate.state import State

ROW = "tail"  # of the state: how far the tail has come


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes that the tail did not follow, in these sources: all before it began, or those since a time.

    A pass over a source that is opened after the gap closes it; with `full` only one that walks everything.
    """

    sources: tuple[str, ...]
    since: dt.datetime | None
    full: bool


def gap(state: State, config: Config) -> Gap | None:
    """What was missed and no backfill has found yet."""
    missed = state.get(ROW).get("missed")
    if not missed:
        return None
    passes = missed["passes"] or {}
    left = tuple(s.name for s in config.sources if not _is_closed(state, s.name, passes.get(s.name), missed["full"]))
    return Gap(left, missed["since"], missed["full"]) if left else None


def _is_closed(state: State, source: str, noted: int | None, full: bool) -> bool:
    """Whether a pass has ended that was not open yet when `noted` was the last one's number.

    A rollback forgets the numbers; passes start over with 1, so any other number is a later pass.
    """
    current: Document = state.watermark(source).get("pass", {})
    later = noted is not None and current.get("number", 0) != noted
    return later and bool(current["done"]) and (bool(current.get("full")) or not full)


def passes(state: State, config: Config) -> dict[str, int]:
    """The number of the newest ordinary pass of each source; 0 where there was none."""
    return {source.name: state.watermark(source.name).get("pass", {}).get("number", 0) for source in config.sources}
