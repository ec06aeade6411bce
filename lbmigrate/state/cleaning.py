"""Rows that an earlier version wrote with what nobody should read: passwords, and whose actions were backfilled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pymongo import UpdateOne

from lbmigrate.mongo.client import retrying
from lbmigrate.records import Document
from lbmigrate.state.rows import State
from lbmigrate.telling.secrets import redact_command, redact_text, redact_word

# Where texts with a URI may stand, and how each is said without its secrets.
TEXTS: dict[str, Callable[[str], str]] = {
    "options.command": redact_command,
    "holder.command": redact_command,
    "ref": redact_word,
    "error": redact_text,
}
SUSPICIOUS = r"://|--uri|--user"


def clear_secrets(state: State) -> int:
    """Rewrite what such rows say, in as many rows as is returned. Repeated, it finds nothing to do."""
    asked = {"$or": [{field: {"$regex": SUSPICIOUS}} for field in TEXTS]}
    rows = retrying(lambda: list(state.rows.find(asked, dict.fromkeys(TEXTS, 1))))
    changes = [change for field in TEXTS for change in _changes(rows, field)]
    if changes:
        retrying(partial(state.rows.bulk_write, changes))
    return len(changes)


def _changes(rows: Sequence[Document], field: str) -> list[UpdateOne]:
    found = [(row["_id"], _said(row, field)) for row in rows]
    better = [(key, text, TEXTS[field](text)) for key, text in found if isinstance(text, str)]
    return [
        UpdateOne({"_id": key, field: text}, {"$set": {field: clean}}) for key, text, clean in better if clean != text
    ]


def _said(row: Document, field: str) -> object:
    """What stands there; None in a row that was edited so that nothing does."""
    said: object = row
    for name in field.split("."):
        said = said.get(name) if isinstance(said, dict) else None
    return said
