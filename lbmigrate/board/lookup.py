"""Users whom documents name by another field than their key, such as an e-mail address: which key that is.

The very text goes before the same one in another case. A text that two users have names nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pymongo.collation import Collation, CollationStrength

from lbmigrate.board.visibility import values_at
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.values.id_text import exact_text, id_text
from lbmigrate.values.ids import NotOne, in_parts
from lbmigrate.values.paths import pluck, projection_of

if TYPE_CHECKING:
    from pymongo.database import Database

    from lbmigrate.config.model import Config
    from lbmigrate.config.user_ref import UserRef

ANY_CASE = Collation("en", strength=CollationStrength.SECONDARY)
LONGEST = 1_024  # characters of a text that may name a user
AT_ONCE = 1_000  # texts


def looked_up(database: Database[Any], config: Config, ref: UserRef, column: Sequence[Any]) -> list[Any]:
    """The key of the user whom each value names; `NotOne` for a text that names none or several, None for no text."""
    texts = [value.strip() if isinstance(value, str) and 0 < len(value) <= LONGEST else None for value in column]
    wanted = list(dict.fromkeys(text for text in texts if text))
    found = _Found(database, config, str(ref.looked_up))
    found.add(wanted)
    found.add([text for text in wanted if not found.has(text)], any_case=True)
    keys = {text: keys[0] if len(keys := found.keys_of(text)) == 1 else NotOne(len(keys)) for text in wanted}
    return [keys[text] if text else None for text in texts]


def naming(database: Database[Any], config: Config, ref: UserRef, forms: Sequence[Any]) -> Document:
    """The condition for documents that name a user whose id has these forms."""
    if not ref.lookup:
        pointers = [f"{ref.strip}{id_text(form)}" for form in forms] if ref.strip else []
        return {ref.path: {"$in": [*forms, *pointers]}}
    users, field = config.users, str(ref.looked_up)
    rows = lenient(database)[users.collection].find({users.key: {"$in": list(forms)}}, projection_of([field]))
    texts = {value.strip() for row in rows for value in values_at(row, field) if isinstance(value, str)}
    return {ref.path: {"$in": [re.compile(rf"^\s*{re.escape(text)}\s*$", re.IGNORECASE) for text in sorted(texts)]}}


class _Found:
    """The users who have one of some texts in a field, by that text, in the very form and in any case."""

    def __init__(self, database: Database[Any], config: Config, field: str) -> None:
        self._users, self._field = config.users, field
        self._collection = lenient(database)[config.users.collection]
        self._exact: dict[str, dict[str, Any]] = {}
        self._folded: dict[str, dict[str, Any]] = {}

    def has(self, text: str) -> bool:
        """Whether somebody has the very text."""
        return text in self._exact

    def keys_of(self, text: str) -> list[Any]:
        return list((self._exact.get(text) or self._folded.get(text.casefold()) or {}).values())

    def add(self, texts: Sequence[str], *, any_case: bool = False) -> None:
        for part in in_parts(texts, AT_ONCE):
            for row in self._rows(part, any_case):
                key = pluck([row], [self._users.key])[self._users.key][0]
                for value in values_at(row, self._field) if key is not None else ():
                    if isinstance(value, str):
                        text = value.strip()
                        self._exact.setdefault(text, {})[exact_text(key)] = key
                        self._folded.setdefault(text.casefold(), {})[exact_text(key)] = key

    def _rows(self, texts: Sequence[str], any_case: bool) -> Iterator[Document]:
        shown = projection_of([self._users.key, self._field])
        if not any_case:
            yield from self._collection.find({self._field: {"$in": list(texts)}}, shown)
        elif is_fake(self._collection.database):
            patterns = [re.compile(f"^{re.escape(text)}$", re.IGNORECASE) for text in texts]
            yield from self._collection.find({self._field: {"$in": patterns}}, shown)
        else:
            yield from self._collection.find({self._field: {"$in": list(texts)}}, shown).collation(ANY_CASE)
