"""Where else a user is named in what is ours: in ids and chosen fields of events, rows of the state, rejects.

What is looked for is the id in each of its forms, as a value or as a word within a text. Collections of the app are
never looked at.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import Binary

from lbmigrate.config.model import Config
from lbmigrate.records import Checkpoint, Document
from lbmigrate.state import State
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import id_forms, id_type, plain_id

KEY = "5f696400"  # `_id`, as a token has it before the value
GONE = "(a user who left)"
# Fields of state rows that say nothing of users, and some that a number of ours must not be taken for an id in.
OWN = frozenset({
    "_id", "by", "covers", "digest", "fence", "how", "key", "kind", "name", "outcome", "ref", "run", "source", "status",
    "table", "token", "verb", "way",
})  # fmt: skip
IDS = frozenset({"after", "high", "low", "user", "users"})  # where a number is an id, and not a count
NOWHERE: Document = {"low": None, "high": None, "extra": "{}"}


class Traces:
    """One user's id, and how it is recognised."""

    def __init__(self, user: Any) -> None:
        self.forms = id_forms(user)
        self.number = any(id_type(form) == "int" for form in self.forms)
        texts = {text for form in self.forms for text in _texts(form)}
        words = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
        flags = 0 if len(self.forms) == 1 else re.IGNORECASE  # digits of ObjectIds and UUIDs come in either case
        self.word = re.compile(rf"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])", flags)
        self._hex = [re.sub(r"[^0-9a-f]", "", t.lower()) if len(self.forms) > 1 else t.encode().hex() for t in texts]

    def named_by(self, value: Any) -> bool:
        """Whether a value is the id, in any of its forms."""
        return any(_same(plain_id(value), plain_id(form)) for form in self.forms)

    def without(self, value: Any, instead: Any = None, text: str = GONE) -> Any:
        """A value without the id: `instead` for the id itself (None leaves it out of lists), `text` for the word."""
        if isinstance(value, str):
            return instead if instead is not None and value in self.forms else self.word.sub(text, value)
        if isinstance(value, Mapping):
            return {name: self.without(each, instead, text) for name, each in value.items()}
        if isinstance(value, list):
            kept = value if instead is not None else [each for each in value if not self.named_by(each)]
            return [self.without(each, instead, text) for each in kept]
        return instead if self.named_by(value) else value

    def out_of_row(self, row: Mapping[str, Any]) -> Document:
        """A row of the state without the id. A number counts as one only where the row keeps ids."""
        cleaned: Document = {}
        for name, value in row.items():
            if name in OWN or (isinstance(value, int) and name not in IDS):
                cleaned[name] = value
            elif name in IDS and self.named_by(value):
                cleaned[name] = None
            elif isinstance(value, Mapping):
                cleaned[name] = self.out_of_row(value)
            elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
                cleaned[name] = [self.out_of_row(each) for each in value]
            else:
                cleaned[name] = self.without(value)
        return cleaned

    def in_token(self, token: Any) -> bool:
        """Whether a change stream's token holds the id: it is made from the id of the last document."""
        data = str(token.get("_data", "")).lower() if isinstance(token, Mapping) else ""
        if self.number:
            numbers = (form for form in self.forms if id_type(form) == "int")
            return any(f"{KEY}{_number_in_token(int(number))}0004" in data for number in numbers)
        return any(len(each) > 4 and each in data for each in self._hex)


def _number_in_token(number: int) -> str:
    """A whole number as a token has it: its length, then twice its value, with all bits turned below zero."""
    size = (abs(number).bit_length() + 8) // 8
    value = (2 * abs(number)).to_bytes(size, "big").hex() if number else ""
    if number >= 0:
        return f"{0x2A + size if number else 0x29:02x}{value}"
    return f"{0x28 - size:02x}{int(value, 16) ^ (256**size - 1):0{2 * size}x}"


def _texts(form: Any) -> Iterator[str]:
    """An id as texts may have it: as it is, as JSON and Python quote it, and as Extended JSON has a UUID."""
    text = id_text(form)
    yield from (text, json.dumps(text)[1:-1], repr(text)[1:-1])
    if isinstance(form, Binary):
        yield from (b64encode(form).decode(), text.replace("-", ""))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    return (type(one) is type(other) or (isinstance(one, int) and isinstance(other, int))) and bool(one == other)


# --- events --------------------------------------------------------------------------------------------------------


def entombed(traces: Traces, config: Config, event: Document, tombstone: Any, mark: str) -> Document:
    """An event of theirs under a tombstone, without the id in its own id, in its source's, or in what was copied.

    An id that is a number is looked for only where the source is the user: the task 7 is not the user 7.
    """
    text, meta = id_text(tombstone), event.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    kept = {"origin": meta["origin"]} if "origin" in meta else {}
    buried = {**event, "userId": tombstone, "meta": {**traces.without(meta, tombstone, text), **kept, mark: True}}
    if traces.number and event.get("actionType") not in _of_users(config):
        return buried
    own = {"_id": traces.word.sub(text, event["_id"])}
    return buried | own | {"sourceId": traces.without(event.get("sourceId"), tombstone, text)}


def _of_users(config: Config) -> set[str]:
    """The actions whose sources are the users' own documents, or elements of such."""
    return {s.action for s in config.sources if s.unwind or s.collection == config.users.collection}


# --- the state -----------------------------------------------------------------------------------------------------


def state_rows(traces: Traces, state: State) -> Iterator[Checkpoint]:
    """What takes the id out of every row. A pass that would have gone on from it starts over."""
    anew: set[tuple[str, int]] = set()
    for row, sound in state.everything():
        kind = str(row["_id"]).partition(":")[0]
        if kind in ("forgotten", "lock"):
            continue
        fields = {k: v for k, v in traces.out_of_row(row).items() if v != row.get(k)}
        if kind == "chunk" and fields.keys() & NOWHERE.keys():
            fields |= NOWHERE
            anew |= {(sound["source"], sound["pass"])} if sound else set()
        if kind == "watermark" and "pass" in fields:
            fields["pass"] = _abandoned(sound["pass"]) if "lost" in sound["pass"] else _abandoned(fields["pass"])
        if kind == "verdict" and "first" in fields:
            fields["first"] = [line for line in sound.get("first", ()) if not traces.word.search(line)]
        if kind == "verdict" and "found" in row:
            found = [each for each in sound.get("found", ()) if traces.without(each) == each]
            fields |= {"found": found} if found != row["found"] else {}
        if kind == "verification" and fields:  # a full one starts over rather than from what names somebody
            fields = {"rules": "", "after": None, "totals": None}
        if kind == "tail" and traces.in_token(sound.get("token")):
            missed = {"full": False, **(sound.get("missed") or {}), "since": sound.get("reached"), "passes": None}
            fields |= {"token": None, "missed": missed}
        if fields:
            yield Checkpoint(row["_id"], fields)
    for row in state.of_kind("watermark"):
        if (_source_of(row), row.get("pass", {}).get("number")) in anew:
            yield Checkpoint(row["_id"], {"pass": _abandoned(row["pass"])})


def _abandoned(kept: Document) -> Document:
    """A pass that is never taken up again: no run has its scope."""
    return kept if kept.get("done") and not kept.get("spans") else {**kept, "scope": {"abandoned": True}, "spans": []}


def _source_of(row: Document) -> str:
    return str(row["_id"]).partition(":")[2].removesuffix(":bounded")


# --- rejects -------------------------------------------------------------------------------------------------------


def rejects(traces: Traces, rows: Iterator[Document]) -> Sequence[Any]:
    """The ids of the rejects that name them: they are for debugging, and go as a whole."""
    return [row["_id"] for row in rows if traces.without({"all": list(row.values())}) != {"all": list(row.values())}]
