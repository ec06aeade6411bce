"""Users to be rolled up, by whoever may have none of them: what adds up the ledger is imported for the first."""

from __future__ import annotations

from lbmigrate.ledger.rolled import Rolled
from lbmigrate.records import Document
from lbmigrate.run.context import Context


def roll_up(context: Context, users: Document, redone: bool = False, anywhere: bool = False) -> Rolled:
    """`rollup.roll_up` from the whole ledger."""
    from lbmigrate.ledger import rollup  # noqa: PLC0415  numpy and all that adds up: an idle run does without

    return rollup.roll_up(context, users, redone=redone, anywhere=anywhere)
