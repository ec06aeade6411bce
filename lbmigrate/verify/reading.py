"""What a source document is worth, read from the configuration a second time: in plain Python, document by document.

It shares no code with the scoring: where the two differ one of them is wrong, and a verification says so. An operator's
own function of points is called as it is, since it is the rule itself.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bson import ObjectId
from pymongo.database import Database

from lbmigrate.config.model import Config, Source
from lbmigrate.records import MOST_POINTS, Document
from lbmigrate.values.id_text import exact_text, id_text, owner_texts
from lbmigrate.values.ids import id_type, plain_id
from lbmigrate.values.limits import names_a_user, names_nothing, too_much
from lbmigrate.verify.formula import compiled
from lbmigrate.verify.function import Case, Function, function_of
from lbmigrate.verify.let_reading import LetReading, Unread
from lbmigrate.verify.named import Named
from lbmigrate.verify.times import when
from lbmigrate.verify.values import getter

AT_ONCE = 1_000  # documents that a function is asked about together
NO_NUMBERS: Mapping[str, float] = {}
POSITION = "__position"  # where $unwind leaves an element's index


class Action(NamedTuple):
    """What one source document (or element) is worth now.

    `id` is the `_id` that its event has, `source` the `_id` of the document that holds it, `source_id` that of the
    action. `changed` is when the document last changed as far as it says so, `approximate` whether the time came from a
    field that only stands in for it.
    """

    id: str
    user: Any
    points: int
    at: dt.datetime
    source: Any
    source_id: Any
    changed: dt.datetime | None
    approximate: bool


class Reading:
    """Reads documents of one source. `kind` is the type of the ledger's user ids, None where it is not known."""

    def __init__(
        self,
        config: Config,
        source: Source,
        kind: str | None,
        latest: dt.datetime | None,
        sources: Database[Any] | None = None,
    ) -> None:
        self.source, self._kind, self._latest = source, kind, latest
        field, path = source.user.looked_up, source.user.path
        self._named = Named(sources, config.users, field, path) if field and sources is not None else None
        self._zone = ZoneInfo(config.timezone)
        self._user, self._cursor = getter(source.user.path), getter(source.cursor)
        self._at = [(at, getter(at.path), getter(at.plus.path) if at.plus else None) for at in source.moments]
        self._lets = [(name, LetReading(let, self._zone)) for name, let in source.let.items()]
        self._metas = [getter(path) for path in source.meta.values()]
        self._function: Function | None = function_of(config, source)
        self._constant = _constant(source.points)
        self._least, self._most = source.bounds
        plain = self._constant is not None and not self._lets and abs(self._constant) <= MOST_POINTS
        self._fixed = self._constant if plain and self.may_give(self._constant or 0) else None
        computed = self._constant is None and self._function is None
        self._formula = compiled(str(source.points)) if computed else None

    @property
    def paths(self) -> list[str]:
        """Every path that is read."""
        source = self.source
        times = [path for at in source.moments for path in at.paths]
        paths = [source.user.path, *times, source.cursor, *source.meta.values()]
        paths += [path for let in source.let.values() for path in let.between or let.path or ()]
        return paths + ([f"{source.unwind}._id", f"{source.unwind}.id"] if source.unwind else [])

    def actions(self, documents: Iterable[Document]) -> Iterator[Action]:
        """What these documents are worth; those that cannot be scored are left out."""
        holders: dict[str, str] = {}
        rest = iter(self._named.learned(documents) if self._named else documents)
        if self._function is not None:
            yield from self._together(self._function, rest, holders)
        for document in rest:
            try:
                yield self.action(document, holders)
            except Unread:
                continue

    def _together(self, function: Function, rest: Iterator[Document], holders: dict[str, str]) -> Iterator[Action]:
        """The same of an operator's function, which is asked about many documents at once."""
        while some := list(islice(rest, AT_ONCE)):
            cases = []
            for document in some:
                with suppress(Unread):
                    cases.append(self._case(document))
            for case, worth in zip(cases, function(cases), strict=True):
                with suppress(Unread):
                    yield self._action(case, worth, holders)

    def action(self, document: Document, holders: dict[str, str] | None = None) -> Action:
        """What one document is worth. Raises Unread with the reason for one that cannot be scored."""
        case = self._case(document)
        return self._action(case, self._worth(case), {} if holders is None else holders)

    def _case(self, document: Document) -> Case:
        name = document.get("_id")
        if type(name) is not ObjectId and names_nothing(name):
            raise Unread("no _id that an event can be named by")
        user = self._named_user(document)
        numbers = {name: let.value(document) for name, let in self._lets} if self._lets else NO_NUMBERS
        return Case(document, user, *self._time(document), numbers)

    def _action(self, case: Case, worth: float, holders: dict[str, str]) -> Action:
        document, user, at, approximate, _ = case
        points = self._points(worth) if self._fixed is None else self._fixed
        text, source_id = self._name(document, holders)
        changed = self._cursor(document)
        seen = changed if isinstance(changed, dt.datetime) else None
        return Action(f"{self.source.action}:{text}", user, points, at, document["_id"], source_id, seen, approximate)

    def may_give(self, points: int) -> bool:
        """Whether some document may be worth so many points."""
        return self._least <= points <= self._most and self._constant in (None, points)

    def is_too_large(self, document: Document) -> bool:
        """Whether an event of it could not be stored."""
        return any(too_much(value) for take in self._metas if (value := take(document)) is not None)

    def _name(self, document: Document, holders: dict[str, str]) -> tuple[str, Any]:
        if self.source.unwind is None:
            name = document["_id"]
            return (str(name) if type(name) is ObjectId else id_text(name)), name
        owner = owner_texts([document["_id"]])[0]
        found = (getter(path)(document) for path in (*self.paths[-2:], POSITION))
        chosen = next((each for each in found if each is not None), 0)
        text, exact = f"{owner}/{id_text(chosen)}", exact_text(chosen)
        text = text if holders.setdefault(text, exact) == exact else f"{owner}/{exact}"
        return text, text

    def _named_user(self, document: Document) -> Any:
        user = self._user(document)
        if self.source.user.strip and isinstance(user, str):
            user = user.removeprefix(self.source.user.strip)
        if self.source.user.lookup:
            user = self._named.key(user) if self._named else None
        if type(user) is not ObjectId or self.source.user.coerce == "string":
            user = _as_user(user, self.source.user.coerce)
        if user is None or (self._kind is not None and id_type(user) != self._kind):
            raise Unread("no user")
        return user

    def _time(self, document: Document) -> tuple[dt.datetime, bool]:
        for place, (rule, take, lasted) in enumerate(self._at):
            at = when(rule, take(document), lasted(document) if lasted else None, self._zone)
            if at is not None:
                if self._latest is not None and at > self._latest:
                    raise Unread("in the future")
                return at, place > 0 and not rule.exact
        raise Unread("no usable time")

    def _worth(self, case: Case) -> float:
        if self._constant is not None:
            return self._constant
        if self._function is not None:
            return self._function([case])[0]
        assert self._formula is not None
        return self._formula(case.numbers)

    def _points(self, worth: float) -> int:
        if not math.isfinite(worth) or abs(worth) > MOST_POINTS:
            raise Unread("points are not a number, or too many")
        points = round(worth)
        if not self._least <= points <= self._most:
            raise Unread("points are out of bounds")
        return points


def _constant(points: int | str) -> int | None:
    try:
        return int(points)
    except ValueError:
        return None


def _as_user(value: Any, to: str | None) -> Any:
    """A user as an event names one; None for what cannot be one."""
    if not names_a_user(value):
        return None
    kind = id_type(value)
    if to == "string" and kind != "string":
        return None if getattr(value, "subtype", None) == 3 else id_text(value)
    if to == "objectId" and kind != "objectId":
        return ObjectId(value) if isinstance(value, str) and ObjectId.is_valid(value) and len(value) == 24 else None
    return plain_id(value) if kind == "int" else value
