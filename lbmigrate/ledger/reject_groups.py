"""Rejects by what is wrong with them: reasons that differ only in what they quote are one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lbmigrate.records import Document

QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b[0-9a-f]{24}\b|-?\d[\d.,:T+-]*""")
LONGEST = 300  # characters of a reason


@dataclass(frozen=True, slots=True)
class Group:
    """So many documents of a source with one reason, and one of them: the id, and the reason in its own words."""

    source: str
    reason: str
    documents: int
    example: Any
    said: str


def kind_of(reason: str) -> str:
    """A reason without what it quotes of a document."""
    return QUOTED.sub("…", reason[:LONGEST])


def is_meant(reason: str, wanted: str) -> bool:
    """Whether a reason is the one that somebody has typed: a part of it, quoted as it is or as a group shows it."""
    typed = wanted.casefold()
    return typed in reason.casefold() or typed in kind_of(reason).casefold()


def grouped(rows: Iterable[Document]) -> list[Group]:
    """The groups, the largest first. `rows` have source, reason, documents and an example each (`by_reason`)."""
    found: dict[tuple[str, str], Group] = {}
    for row in rows:
        name = str(row["source"]), kind_of(str(row["reason"]))
        before = found.get(name)
        if before is None:
            found[name] = Group(*name, row["documents"], row["example"], str(row["reason"]))
        else:
            found[name] = Group(*name, before.documents + row["documents"], before.example, before.said)
    return sorted(found.values(), key=lambda group: (-group.documents, group.source, group.reason))


BY_REASON: list[Document] = [
    {
        "$group": {
            "_id": {"source": "$source", "reason": "$reason"},
            "documents": {"$sum": 1},
            "example": {"$first": "$sourceId"},
        }
    },
]


def by_reason(found: Iterable[Document]) -> Iterable[Document]:
    """What BY_REASON answers, a row for each source and reason as they were written."""
    for row in found:
        name = row["_id"]
        yield {"source": name.get("source"), "reason": name.get("reason"), **row}
