"""What an app asks for, checked: it may hand on what a request says, and a mapping would be an operator of MongoDB."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
import zlib
from collections.abc import Iterable
from typing import Any

from bson import Binary, Code, Int64, json_util
from bson.errors import BSONError

from lbmigrate.board.order import BY_USER, Position
from lbmigrate.board.place import LONGEST_PERIOD, Place
from lbmigrate.errors import UsageError
from lbmigrate.records import LATEST, amount
from lbmigrate.schema import WAYS
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import id_type, parse_id
from lbmigrate.values.limits import is_half, long_id, names_a_user

MOST_FRIENDS = 1000  # users of one `among`
MOST_PLACES = 1_000_000  # of one question
LARGEST = 2**63 - 1
LONGEST_CURSOR = 65_536  # characters: a user's id has 1,500 at most
FIRST_PAGE = "begin with the first page: leave `after` out"
EPOCH, MILLISECOND = dt.datetime(1970, 1, 1), dt.timedelta(milliseconds=1)
FURTHEST = (LATEST - EPOCH) // MILLISECOND
PERIODS = "name one: global, 2025-W44, 2025-11-04"


class PeriodRefused(UsageError):
    """A period that is no text."""


class UserRefused(UsageError):
    """A user that is neither an id nor how one is written; or for several, what is no list of them, or too long."""


class NumberRefused(UsageError):
    """A number of places that is no whole number, a negative one, or more than MOST_PLACES."""


class CursorRefused(UsageError):
    """A cursor that this board did not hand out for this period."""


def check_period(period: object) -> str:
    """Raise PeriodRefused for what no period can be called."""
    if not isinstance(period, str):
        raise PeriodRefused(f"a period is text, not {type(period).__name__}", PERIODS)
    if len(period) > LONGEST_PERIOD or is_half(period):
        raise PeriodRefused(f"a period is at most {LONGEST_PERIOD} characters, not {excerpt(period)}", PERIODS)
    return period


def check_number(n: object) -> int:
    """Raise NumberRefused for what is no whole number of places, and for more than MOST_PLACES."""
    if isinstance(n, int) and not isinstance(n, bool) and n >= 0:
        if n > MOST_PLACES:
            raise NumberRefused(f"n is at most {MOST_PLACES:,} places", "ask for fewer, and page by page")
        return n
    raise NumberRefused(f"n is a whole number of places, not {excerpt(n)}", "give a whole number, as in n=10")


def ids_of(user: object) -> list[Any]:
    """The ids that a user may be meant by: a Place, its `user` or `original`, an id, or how that is written.

    Raises UserRefused for anything else.
    """
    if isinstance(user, Place):  # one that has been JSON, or was made anew, has lost its `original`
        return ids_of(user.user) if user.original == user.user else [user.original]
    is_text = isinstance(user, str) and not isinstance(user, Code)
    if is_text and not (long_id(user) or is_half(user)):
        return parse_id(str(user))
    if not is_text and id_type(user) is not None:
        return [_for_any_client(user)]
    what = f"a user is an id or how it is written, not {excerpt(user)}"
    raise UserRefused(what, "give the `user` of a Place, or its text")


def ids_of_all(users: Iterable[object]) -> list[Any]:
    """The ids of several users.

    Raises UserRefused for what is no list, for more than MOST_FRIENDS, and as `ids_of` does.
    """
    if not isinstance(users, Iterable) or isinstance(users, str | bytes):
        hint = "give a list, as in among([place.user for place in friends])"
        raise UserRefused(f"several users are a list of them, not {excerpt(users)}", hint)
    asked = list(users)
    if len(asked) > MOST_FRIENDS:
        raise UserRefused(
            f"{amount(len(asked), 'user')} were asked for, more than {MOST_FRIENDS:,}", "ask for them in parts"
        )
    return [key for user in asked for key in ids_of(user)]


def cursor_of(period: str, position: Position) -> str:
    """A position as an opaque text that fits into a URL. It shows the user's id to whoever decodes it."""
    told = {"p": period, "s": int(position.score), "u": _for_any_client(position.user)}
    told |= {"o": position.by, "r": _ms(position.reached)} if position.by in WAYS else {}
    content = json_util.dumps(told).encode()
    return base64.urlsafe_b64encode(zlib.crc32(content).to_bytes(4) + content).decode().rstrip("=")


def position_of(period: str, cursor: object) -> Position:
    """Read a cursor. Raises CursorRefused for one that was edited, or that is of another period."""
    told = _read(cursor)
    if told is None:
        raise CursorRefused("that is no cursor of a board", FIRST_PAGE)
    if told["p"] != period:
        raise CursorRefused(f"that cursor is of another period than {period!r}", "begin with the first page of it")
    return Position(told["s"], told["u"], _moment(told.get("r")), told.get("o", BY_USER.by))


def refuse_of_another_order() -> CursorRefused:
    """What to raise for a cursor of pages in an order that the board does not have any more."""
    what = "that cursor is of another order of those who share a score than the board has now"
    return CursorRefused(what, FIRST_PAGE)


def _ms(at: dt.datetime | None) -> int | None:
    return None if at is None else (at - EPOCH) // MILLISECOND


def _moment(ms: int | None) -> dt.datetime | None:
    return None if ms is None else EPOCH + ms * MILLISECOND


def _for_any_client(user: Any) -> Any:
    """A UUID as clients of every UUID representation can send it."""
    return Binary.from_uuid(user) if isinstance(user, uuid.UUID) else user


def _read(cursor: object) -> dict[str, Any] | None:
    if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
        return None
    try:
        padded = f"{cursor}{'=' * (-len(cursor) % 4)}"
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        told = json_util.loads(raw[4:].decode()) if zlib.crc32(raw[4:]).to_bytes(4) == raw[:4] else None
    except (binascii.Error, BSONError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    if not isinstance(told, dict) or not _has_parts(told) or not names_a_user(told["u"]):
        return None
    return told if isinstance(told["p"], str) and _is_score(told["s"]) else None


def _has_parts(told: dict[str, Any]) -> bool:
    if told.keys() == {"p", "s", "u"}:
        return True
    return told.keys() == {"p", "s", "u", "o", "r"} and told["o"] in tuple(WAYS) and _is_moment(told["r"])


def _is_moment(ms: Any) -> bool:
    return ms is None or (_is_score(ms) and abs(ms) <= FURTHEST)


def _is_score(value: object) -> bool:
    return isinstance(value, int | Int64) and not isinstance(value, bool) and abs(value) <= LARGEST
