"""Whom a source's documents name: what is in the field becomes the id that the ledger has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lbmigrate.config.user_ref import UserRef
from lbmigrate.values.ids import coerce_id, coerce_ids


def user_id(value: Any, ref: UserRef) -> Any:
    """The id that a value of the field stands for; None for what names nobody."""
    return coerce_id(_bare(value, ref.strip) if ref.strip else value, ref.coerce)


def user_ids(column: Sequence[Any], ref: UserRef) -> list[Any]:
    """`user_id` over a column."""
    bare = [_bare(value, ref.strip) for value in column] if ref.strip else column
    return coerce_ids(bare, ref.coerce)


def _bare(value: Any, prefix: str) -> Any:
    """A text without what stands before the id; all else as it is."""
    return value.removeprefix(prefix) if isinstance(value, str) else value
