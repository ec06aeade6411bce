"""Where entries are, as the state has it on record: looked up by everybody who reads or writes them.

Nobody looks again for LOOK_AGAIN seconds, unless a run has announced that it moves entries. It waits for GRACE seconds
after that, and once more before it removes what has been moved. So who has looked knows of the announcement by then, or
has taken so long since (TRUSTED) that what was written meanwhile may be in the wrong place, and looks once more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from lbmigrate.records import Checkpoint, RowsRemoved
from lbmigrate.schema.layout import BY_USER, LOOK_AGAIN, ROW, Layout
from lbmigrate.state.rows import State

TRUSTED = 2.0
GRACE = 3.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The layout, and when it was asked for, by this host's monotonic clock."""

    layout: Layout
    at: float


def look(state: State) -> Seen:
    """Where entries are; not older than LOOK_AGAIN seconds, and as of now where a run moves them."""
    known = state.known_layout
    if isinstance(known, Seen) and not known.layout.moving and time.monotonic() - known.at < LOOK_AGAIN:
        return known
    at = time.monotonic()
    seen = Seen(Layout.of(state.get(ROW)), at)
    state.known_layout = seen
    return seen


def layout(state: State) -> Layout:
    """The same without the moment."""
    return look(state).layout


def now(state: State) -> Layout:
    """The same as of this moment, whoever looked when."""
    state.known_layout = None
    return layout(state)


def stands(state: State, seen: Seen, periods: Iterable[str]) -> bool:
    """Whether entries of these periods, written since then, are where they belong, and say what they are to say."""
    if not seen.layout.moving and time.monotonic() - seen.at < TRUSTED:
        return True
    found = now(state)
    alike = bool(found.orders) == bool(seen.layout.orders)
    return alike and all(found.home(period) == seen.layout.home(period) for period in periods)


def put(state: State, **fields: object) -> None:
    """Put on record where entries are from now on. Raises LeaseLost as `State.put` does."""
    state.put(Checkpoint(ROW, fields))
    state.known_layout = None


def settle(state: State, found: Layout) -> None:
    """Put on record that everything is where it belongs; for one collection nothing needs to be on record."""
    kept = layout(state)
    if found.until or kept.archived or kept.orders or kept.coming:
        put(state, until=found.until, moving=False, after=None)
    else:
        state.save(RowsRemoved((ROW,)))
    state.known_layout = None


def order(state: State, by: str, coming: str = "") -> None:
    """Put on record that entries of one score stand in this order, and which one a run prepares, or clears up after.

    For that of their users nothing needs to be on record.
    """
    found = now(state)
    put(state, until=found.until, moving=found.moving, order=by, coming=coming)
    if by == BY_USER and not (coming or found.until or found.moving or found.archived):
        state.save(RowsRemoved((ROW,)))
        state.known_layout = None
