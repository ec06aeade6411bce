"""The variables of a rule, read a second time: the `let` of a source in plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bson import Decimal128, Int64

from lbmigrate.config.model import Let
from lbmigrate.records import Document
from lbmigrate.verify.values import Getter, converted, getter, moment, number


class Unread(Exception):
    """Why a document is worth nothing: it could not be scored either."""


class LetReading:
    """Reads one `let` of a source."""

    def __init__(self, let: Let, zone: ZoneInfo) -> None:
        self._let, self._zone = let, zone
        self._takes: list[Getter] = [getter(path) for path in let.between or let.path or ()]
        self._table = None if let.map is None else _table(let.map)

    def value(self, document: Document) -> float:
        """The number; raises Unread where there is none."""
        given = [take(document) for take in self._takes]
        if not self._let.between:
            given = [next((value for value in given if value is not None), None)]
        found = self._found(given)
        if found is not None:
            return found
        if self._let.missing is not None and None in given:
            return self._let.missing
        raise Unread("a value that the rule needs is missing")

    def _found(self, given: list[Any]) -> float | None:
        let = self._let
        if let.between:
            start, end = (None if value is None else moment(value, self._zone) for value in given)
            if start is None or end is None or end < start:
                return None
            return converted((end - start) // dt.timedelta(microseconds=1), "us", let.to or "seconds")
        found = number(given[0]) if self._table is None else self._looked_up(given[0], self._table)
        if found is None or (let.unit and self._table is None and found < 0):
            return None
        return converted(found, let.unit, let.to) if let.unit and let.to else found

    def _looked_up(self, value: Any, table: Mapping[Any, float]) -> float | None:
        if value is None:
            return None
        plain = type(value) in (bool, int, Int64, float, str)
        key = value if plain else number(value) if isinstance(value, Decimal128) else None
        return self._let.default if key is None else table.get(key, self._let.default)


def _table(given: Mapping[str | int, float]) -> dict[Any, float]:
    """The map by both spellings of its keys: 1 answers to "1" as well."""
    found: dict[Any, float] = {}
    for key, value in given.items():
        digits = str(key)
        if digits.isascii() and digits.isdecimal() and len(digits) < 20:
            found |= {int(digits): value, str(int(digits)): value}
    return found | dict(given)
