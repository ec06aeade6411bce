"""Step 6: the flag's `read` goes on, so that the app shows the board. Refused unless verification vouches for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate import feature_flag
from lbmigrate.errors import Refused
from lbmigrate.migration.steps.switches import Switch
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Piece
from lbmigrate.run.context import Context
from lbmigrate.verify import verdict

NUMBER = 6
NAME = "cut-over"
EMPTY = "correct the source's `where` (lbmigrate doctor), then: lbmigrate backfill --full, then: lbmigrate run"
SWITCH = Switch(NUMBER, NAME, "read")


def apply(context: Context) -> Iterator[Piece]:
    if feature_flag.read(context.target, context.config).read:
        return
    reason = verdict.objection(context.state.get("verdict"), context.state.last_emission(), context.clock())
    if reason:
        raise Refused(f"cut-over needs a fresh passing verification: {reason}", hint="lbmigrate verify")
    if empty := verdict.empty_board(context):
        raise Refused(f"cut-over would show an empty board: {empty}", hint=EMPTY)
    feature_flag.turn(context.target, context.config, "read", True, context.clock())
    yield Piece("flag", note="read is on: the app shows the board")


def revert(context: Context) -> Iterator[Piece]:
    if feature_flag.turn(context.target, context.config, "read", False, context.clock()):
        yield Piece("flag", note="read is off")


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    return SWITCH.pending(context)


def preview(context: Context) -> Iterator[str]:
    if SWITCH.is_on(context):
        yield "turn read off: the app stops showing the board"
