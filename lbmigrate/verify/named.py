"""Users whom documents name by another field than their key, looked up a second time; shares no code with the board.

Whoever has the very text goes before who has it in another case. A text that two have names nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pymongo.collation import Collation
from pymongo.database import Database

from lbmigrate.config.users import Users
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts
from lbmigrate.values.paths import projection_of
from lbmigrate.verify.values import getter
from lbmigrate.verify.visible import reach

AT_ONCE = 1_000  # documents whose users are asked for together
REMEMBERED = 100_000  # texts
LONGEST = 1_024  # characters


class Named:
    """The keys of users by what one field of theirs holds; `path` is where documents have that."""

    def __init__(self, sources: Database[Any], users: Users, field: str, path: str) -> None:
        self._users, self._field, self._written = users, field, getter(path)
        self._collection = lenient(sources)[users.collection]
        self._keys: dict[str, Any] = {}

    def learned(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents; before they are handed on their users are asked for, many at a time."""
        rest = iter(documents)
        while some := list(islice(rest, AT_ONCE)):
            self._learn([text for each in some if (text := _text(self._written(each)))])
            yield from some

    def key(self, value: Any) -> Any:
        """The key of the one user who has this text; None where it names nobody, or several."""
        text = _text(value)
        if text and text not in self._keys:
            self._learn([text])
        return self._keys.get(text) if text else None

    def _learn(self, texts: list[str]) -> None:
        new = list(dict.fromkeys(text for text in texts if text not in self._keys))
        if len(self._keys) + len(new) > REMEMBERED:
            self._keys = {}
            new = list(dict.fromkeys(texts))
        exact = self._asked(new, any_case=False)
        folded = self._asked([text for text in new if text not in exact], any_case=True)
        loose: dict[str, dict[str, Any]] = {}
        for text, owners in [*exact.items(), *folded.items()]:
            loose[text.casefold()] = loose.get(text.casefold(), {}) | owners
        for text in new:
            owners = exact.get(text) or loose.get(text.casefold(), {})
            self._keys[text] = next(iter(owners.values())) if len(owners) == 1 else None

    def _asked(self, texts: list[str], any_case: bool) -> dict[str, dict[str, Any]]:
        """The users who have one of these texts: by the text as they have it, by the exact text of their key."""
        found: dict[str, dict[str, Any]] = {}
        take, path = getter(self._users.key), self._field.split(".")
        for some in in_parts(texts, AT_ONCE):
            for row in self._rows(some, any_case):
                held = (value.strip() for value in reach(row, path) if isinstance(value, str))
                for text in held if (key := take(row)) is not None else ():
                    found.setdefault(text, {})[exact_text(key)] = key
        return found

    def _rows(self, texts: list[str], any_case: bool) -> Iterator[Document]:
        shown = projection_of([self._users.key, self._field])
        if any_case and is_fake(self._collection.database):
            same: list[Any] = [re.compile(f"^{re.escape(text)}$", re.IGNORECASE) for text in texts]
            return iter(self._collection.find({self._field: {"$in": same}}, shown))
        asked = self._collection.find({self._field: {"$in": texts}}, shown)
        return iter(asked.collation(Collation("en", strength=2)) if any_case else asked)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST else ""
