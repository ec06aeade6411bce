"""Rejects by what is wrong with them: reasons that differ only in what they quote are one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lbmigrate.config.model import Config
from lbmigrate.records import Document
from lbmigrate.schema import OF_KIND, REJECTS

QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b[0-9a-f]{24}\b|-?\d[\d.,:T+-]*""")
OF_ANOTHER_TYPE = re.compile(r"user in .+? is (\w+) .*, and the others are \w+$", re.DOTALL)  # as `user_ids` says it
LONGEST = 300  # characters of a reason


@dataclass(frozen=True, slots=True)
class Group:
    """So many documents of a source with one reason, and one of them: the id, and the reason in its own words.

    `query` is a line for mongosh that finds documents whose users have ids of another type; empty for other reasons.
    """

    source: str
    reason: str
    documents: int
    example: Any
    said: str
    query: str = ""


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


def query_of(config: Config, group: Group) -> str:
    """What finds the documents of a group in mongosh, where their users have ids of another type than all others.

    A converted or looked-up id is of a type that no document holds: these are found by the rejects.
    """
    source = next((each for each in config.sources if each.name == group.source), None)
    told = OF_ANOTHER_TYPE.match(group.said)
    if source is None or told is None or (kind := told[1]) not in OF_KIND:
        return ""
    user = source.user
    if user.coerce is None and not user.strip and not user.lookup:
        asked = json.dumps({user.path: {"$type": OF_KIND[kind]}}, ensure_ascii=False)
    elif source.unwind:
        return ""
    else:
        names = json.dumps({"source": source.name, "reason": {"$regex": f"^user in {re.escape(user.path)} is {kind} "}})
        asked = f'{{"_id": {{"$in": db.{REJECTS}.distinct("sourceId", {names})}}}}'
    return f"db.getCollection({json.dumps(source.collection, ensure_ascii=False)}).find({asked})"


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
