"""Who has left: told from a hash, so that later documents of the same user are known and left out.

With a key in the environment (KEY, or a file that KEY_FILE names) the hash is an HMAC, and who has the database alone
can do nothing with it. Without one everything that makes the hash is in the database: it is an expensive one then
(scrypt), so that trying all ids takes long, and no longer safe where ids are few. A byte of a cheap hash beside it
spares the expensive one for all but every 256th user that a backfill meets.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import uuid
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bson import ObjectId

from lbmigrate.errors import Refused, UsageError
from lbmigrate.records import Document
from lbmigrate.state import COLLECTION, State
from lbmigrate.state.shapes import NO_SALT, SALT
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import folded_id, id_type

KEY, KEY_FILE = "LBMIGRATE_FORGET_KEY", "LBMIGRATE_FORGET_KEY_FILE"
SHORTEST_KEY = 16  # characters
BY_KEY, BY_SCRYPT = "forgotten:key:", "forgotten:scrypt:"
COST = {"n": 2**14, "r": 8, "p": 1}  # 16 MB and some 50 ms
PREFIX = 2  # hexadecimal digits
CACHED = 100_000  # users


class Leavers:
    """Those who were forgotten until now, whichever form of their ids a document has.

    `fence` is that of the newest run, None while it runs. Raises Refused, when somebody is looked up, where users have
    left under a key that is not there. `read` are the rows that `State.forgotten` asks for, by whoever has them.
    """

    def __init__(self, state: State, read: Iterable[Document] | None = None) -> None:
        self.fence, found = state.forgotten(read)
        rows = {row["_id"]: row for row in found}
        salting = rows.pop(SALT, {})
        self._salt: bytes = salting.get("salt") or b""
        self._key_check = salting.get("keyCheck")
        self._tombstones = {name: row["tombstone"] for name, row in rows.items()}
        self._again = sum(bool(row.get("again")) for row in rows.values())
        self._left = {name: row.get("at") for name, row in rows.items()}
        self._starts = {name[len(BY_SCRYPT) :][:PREFIX] for name in rows if name.startswith(BY_SCRYPT)}
        self._keyed = any(name.startswith(BY_KEY) for name in rows)
        self._names: dict[Any, str] = {}

    def __len__(self) -> int:
        return len(self._tombstones)

    def __contains__(self, user: Any) -> bool:
        return bool(self._tombstones) and bool(self._name(user))

    @property
    def again(self) -> int:
        """How many were forgotten when the ledger had tombstones of whom nobody knew."""
        return self._again

    def known_tombstones(self) -> set[Any]:
        """Every tombstone, in each type that a ledger's ids may have."""
        found = self._tombstones.values()
        return {*found, *(_of_type(each, kind) for each in found for kind in MAKERS)}

    def tombstone(self, user: Any) -> Any:
        """Who stands in the ledger in place of a user who was forgotten: an id of the type that the user's id has."""
        return _of_type(self._tombstones[self._name(user)], id_type(user))

    def left_at(self, user: Any) -> dt.datetime | None:
        """When a user was forgotten; None where an older version did not note it."""
        return self._left[self._name(user)]

    def at(self, row: str) -> Any:
        """The tombstone that a row keeps."""
        return self._tombstones[row]

    def old_rows(self) -> dict[str, str]:
        """The rows of an older version, whose hash is cheap, each with the name that it should have."""
        cheap = [name for name in self._tombstones if name.count(":") == 1]
        return {name: _named(name.partition(":")[2], self._salt, key()) for name in cheap}

    def _name(self, user: Any) -> str:
        """The row of a user who left; empty for all others."""
        if not self._salt:
            raise Refused(f"row {SALT!r} of {COLLECTION} has no salt: whoever has left would come back", hint=NO_SALT)
        if user not in self._names:
            inner = _inner(user, self._salt)
            self._names[user] = next((name for name in self._possible(inner) if name in self._tombstones), "")
        return self._names[user]

    def _possible(self, inner: str) -> list[str]:
        names = [f"forgotten:{inner}"]  # as an older version named it
        if inner[:PREFIX] in self._starts:
            names.append(_by_scrypt(inner, self._salt))
        if self._keyed:
            names.append(_by_key(inner, self._checked_key()))
        return names

    def _checked_key(self) -> bytes:
        found = key()
        if found and self._key_check is None:
            check = f"{{$set: {{keyCheck: {key_check(found, self._salt)!r}}}}}"
            raise Refused(
                f"row {SALT!r} of {COLLECTION} has no keyCheck: nobody knows whether {KEY} is as it was",
                hint=f"if it is as it was: db.{COLLECTION}.updateOne({{_id: {SALT!r}}}, {check})",
            )
        if found is None or key_check(found, self._salt) != self._key_check:
            what = "is not set here" if found is None else "is another one here"
            raise Refused(
                f"users have left under the key in {KEY}, which {what}: without it they would come back",
                hint=f"set {KEY}, or {KEY_FILE}, as it was when they were forgotten",
            )
        return found


def key() -> bytes | None:
    """The key from the environment; None where there is none. Raises UsageError for one that cannot be a secret."""
    text, path = os.environ.get(KEY, ""), os.environ.get(KEY_FILE, "")
    try:
        text = text or (Path(path).read_text("utf-8") if path else "")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{KEY_FILE} names a file that cannot be read: {error}", hint=f"correct {KEY_FILE}") from error
    text = text.strip()
    if text and len(text) < SHORTEST_KEY:
        raise UsageError(f"{KEY} has fewer than {SHORTEST_KEY} characters", hint="make one: openssl rand -hex 32")
    return text.encode() or None


def key_check(secret: bytes, salt: bytes) -> str:
    """By which another key is known, and nobody's id."""
    return hmac.digest(secret, b"check" + salt, "sha256").hex()[:16]


def row_of(user: Any, salt: bytes) -> str:
    """Name the state's row that keeps a user away."""
    return _named(_inner(user, salt), salt, key())


def _named(inner: str, salt: bytes, secret: bytes | None) -> str:
    return _by_key(inner, secret) if secret else _by_scrypt(inner, salt)


def _inner(user: Any, salt: bytes) -> str:
    return hashlib.sha256(salt + folded_id(user).encode("utf-8", "surrogatepass")).hexdigest()


def _by_key(inner: str, secret: bytes) -> str:
    return BY_KEY + hmac.digest(secret, inner.encode(), "sha256").hex()


@lru_cache(CACHED)
def _by_scrypt(inner: str, salt: bytes) -> str:
    slow = hashlib.scrypt(inner.encode(), salt=salt, dklen=32, maxmem=64 << 20, **COST)
    return f"{BY_SCRYPT}{inner[:PREFIX]}:{slow.hex()}"


# --- tombstones -----------------------------------------------------------------------------------------------------


def _of_type(tombstone: Any, kind: str | None) -> Any:
    """The tombstone, or what always stands for it in a ledger whose ids are of another type.

    It was made when the ledger was empty, or before a rollback after which ids are read as another type.
    """
    if kind is None or id_type(tombstone) == kind:
        return tombstone
    return MAKERS[kind](hashlib.sha256(id_text(tombstone).encode()).digest()[:16])


MAKERS: dict[str, Callable[[bytes], Any]] = {
    "objectId": lambda chance: ObjectId(chance[:12]),
    "string": lambda chance: f"forgotten-{chance.hex()}",
    "int": lambda chance: -1 - int.from_bytes(chance) % (2**31 - 1),
    "uuid": lambda chance: uuid.UUID(bytes=chance),
}
