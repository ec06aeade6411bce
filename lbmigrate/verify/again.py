"""Mismatches looked at again: while an app writes, two readings differ for a moment. What persists counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts
from lbmigrate.verify import entries
from lbmigrate.verify.actions import Ledger
from lbmigrate.verify.result import Mismatch

WAITS = (0.1, 0.3, 0.6)  # seconds before each further look
USERS_AT_ONCE = 200


def persisting(
    context: Context, ledgers: Sequence[Ledger], kind: str | None, suspects: Sequence[Mismatch]
) -> list[Mismatch]:
    """Those that are there at every look, as the last one found them, with how long they were seen to stand.

    The same thing is wrong again if it is wrong about the same entry, or about the same event: figures may move on.
    """
    standing, waited = list(suspects), 0.0
    for wait in WAITS:
        if not standing:
            break
        context.stop.wait(wait)
        waited += wait
        before = {_about(each) for each in standing}
        found = [*_entries(context, kind, standing), *_events(ledgers, standing)]
        standing = [each for each in found if _about(each) in before]
    return [replace(each, lasted=round(waited, 3)) for each in standing]


def _about(mismatch: Mismatch) -> tuple[str, str]:
    return mismatch.subject, exact_text(mismatch.id)


def _entries(context: Context, kind: str | None, standing: Sequence[Mismatch]) -> Iterator[Mismatch]:
    users = {exact_text(each.user): each.user for each in standing if each.subject == ENTRIES}
    for some in in_parts(list(users.values()), USERS_AT_ONCE):
        yield from entries.compare(context, some, kind).wrong


def _events(ledgers: Sequence[Ledger], standing: Sequence[Mismatch]) -> Iterator[Mismatch]:
    for ledger in ledgers:
        about: list[tuple[str, Any]] = [
            (each.id, each.source)
            for each in standing
            if each.subject != ENTRIES and str(each.id).startswith(f"{ledger.action}:")
        ]
        if about:
            sources = [source for _, source in about if source is not None]
            yield from ledger.check_named([name for name, _ in about], sources).wrong
