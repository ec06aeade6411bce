"""Boards in Redis: a sorted set for each period, so that a rank costs O(log n) however deep it is.

| key (`redis.key` is `lb:{period}` unless configured) | what it holds |
|---|---|
| `lb:2025-W44` | the sorted set: member = user, score = points |
| `{lb:2025-W44}:about` | a hash: `generation`, `run` of the server, `salt`, `filled`, `building` while it is rebuilt |
| `{lb:2025-W44}:versions` | a hash: which version of their entry those have who changed since the last rebuild |
| `{lb:2025-W44}:next` | the sorted set that is to take its place |
| `{lb:2025-W44}:meanwhile` | a hash: what was published since the rebuild began |
| `lb:periods` | a set: the periods that have a board |

The braces make one slot of all keys of a board on a cluster. MongoDB stays the place of truth; every script writes an
absolute score, never an increment, so that a repeat changes nothing:

* A **version** grows with every write to an entry. An older one than is known for a member changes nothing, so the
  order in which scores arrive does not matter.
* A **generation** begins with each rebuild. Whoever publishes says in which generation the entry was read; one of an
  earlier generation is refused, and the entry is to be read again. So a rebuild need not write versions: what is
  published afterwards was read after it.
* While a board is **rebuilt**, what is published goes to both the board and the one that is to take its place.
* Ranks count everybody. Who opted out stands under a **ghost**, a salted hash, and who was forgotten not at all.
* A server that has been restarted may have lost scores: its `run` is another one then, and the board is not believed
  until it is rebuilt. Nor is one that had members (`filled`) and has gone.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from lbmigrate.board.scripts import ABOVE, BEGIN, DROP, FINISH, PUBLISH
from lbmigrate.errors import LbmigrateError
from lbmigrate.records import amount

if TYPE_CHECKING:
    import redis

EXACT = 2**53  # a score is a double in Redis: beyond this, two of them may be one
BATCH = 1_000  # members in one command
RESTING = 2.0  # seconds
GHOST = "~"  # begins the name of one who has opted out
Score = int | float  # a float is none of ours


class Showing(StrEnum):
    """How a user stands on a board."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Standing:
    """A user's score on one board, and which version of the entry that is."""

    member: str
    score: Score
    version: str
    showing: Showing = Showing.SHOWN


class Batch(NamedTuple):
    """Some entries of a board that is rebuilt: members that are shown with their scores, and how the others stand."""

    shown: dict[str, Score]
    others: Sequence[Standing]


class Outdated(Exception):
    """A rebuild has ended since the entries were read: read them again."""


class Lost(LbmigrateError):
    """A board that had members is not there any more: somebody deleted it, or the server dropped it."""


class Rest:
    """A server that failed is left alone for a moment, so that nobody waits for it again and again."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._until = monotonic, float("-inf")

    def begin(self) -> None:
        self._until = self._monotonic() + RESTING

    def __bool__(self) -> bool:
        return self._monotonic() < self._until


class SortedSets:
    """The boards of one migration in Redis. Methods raise the errors of `redis`, which `telling_redis` explains."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client, self._key = client, key
        self._publish, self._begin, self._finish, self._above, self._drop = (
            client.register_script(script) for script in (PUBLISH, BEGIN, FINISH, ABOVE, DROP)
        )
        self._generations: dict[str, str] = {}  # of each period, when it was last asked for
        self.rest = Rest()

    def keys(self, period: str) -> list[str]:
        """Those of a board: itself, what is known about it, versions, and what a rebuild writes."""
        board = self._key.format(period=period)
        return [board, *(f"{{{board}}}:{name}" for name in ("about", "versions", "next", "meanwhile"))]

    def periods(self) -> set[str]:
        """The periods that have a board, or had one that has expired."""
        return {_text(member) for member in self._client.smembers(self._periods)}

    # --- publishing --------------------------------------------------------------------------------------------

    def generation(self, period: str) -> str:
        """The generation of a board, to be asked for before the entries are read that will be published to it.

        It may be an earlier one by now: then publishing says so.
        """
        if period not in self._generations:
            found = self._client.hget(self.keys(period)[1], "generation")
            self._generations[period] = _text(found or b"")
        return self._generations[period]

    def publish(self, period: str, standings: Sequence[Standing], generation: str) -> None:
        """Put scores on a board that has been built; any number of times, in any order.

        Raises Outdated if the board has another generation by now: ask for that, and read the entries again. Raises
        Lost if it has gone.
        """
        for start in range(0, len(standings), BATCH):
            told = [part for each in standings[start : start + BATCH] for part in _told(each)]
            done = self._publish(self.keys(period), [generation, *told])
            if _text(done) == "outdated":
                self._generations.pop(period, None)
                raise Outdated(period)
            if _text(done) == "lost":
                raise Lost(f"the board of {period} has gone from Redis", "lbmigrate boards rebuild")

    # --- rebuilding --------------------------------------------------------------------------------------------

    def rebuild(
        self,
        period: str,
        batches: Iterable[Batch],
        expires: int | None,
    ) -> list[str]:
        """Rebuild a board beside the present one, and put it in its place in one step.

        The batches are read after the call has begun. Returns the members that were published meanwhile, whose entries
        are to be read and published once more. `expires` is in seconds since 1970.
        """
        keys, generation = self.keys(period), secrets.token_hex(8)
        self._client.sadd(self._periods, period)
        salt = _text(self._begin(keys, [generation, secrets.token_hex(8)]))
        for shown, others in batches:
            ghosts = {_shown_as(each, salt): exact(each) for each in others if each.showing != Showing.GONE}
            self._add(keys[3], shown | ghosts)
        found = self._finish(keys, [generation, "" if expires is None else expires])
        self._generations[period] = generation
        return [_text(member) for member in found]

    def _add(self, key: str, scores: dict[str, Score]) -> None:
        parts = iter(scores.items())
        with self._client.pipeline(transaction=False) as commands:
            while part := dict(islice(parts, BATCH)):
                commands.zadd(key, part)
            commands.execute()

    def drop(self, period: str) -> None:
        """Remove a board, but no value of another kind under its name.

        Whoever publishes to it afterwards is not heard until it is rebuilt.
        """
        self._drop(self.keys(period))
        self._client.srem(self._periods, period)

    # --- reading -----------------------------------------------------------------------------------------------

    def above(self, period: str, score: int) -> int | None:
        """How many of a board have a higher score; None where there is no board, or none that can be believed."""
        found = self._above(self.keys(period), [score])
        return None if found is None else int(found)

    def expires(self, period: str) -> int | None:
        """In how many seconds a board goes; None for one that stays, or is not there."""
        left = int(self._client.ttl(self.keys(period)[0]))
        return left if left >= 0 else None

    def size(self, period: str) -> int:
        """How many members a board has."""
        return int(self._client.zcard(self.keys(period)[0]))

    def scores(self, period: str, standings: Sequence[Standing]) -> list[Score | None]:
        """The scores that a board has for these, under their names or as ghosts; None for who is not on it."""
        if not standings:
            return []
        keys = self.keys(period)
        salt = _text(self._client.hget(keys[1], "salt") or b"")
        members = [_shown_as(each, salt) for each in standings]
        return [None if score is None else _score(score) for score in self._client.zmscore(keys[0], members)]

    def standings(self, period: str) -> Iterator[tuple[str, Score]]:
        """Every member of a board with its score, in no order; ghosts begin with GHOST."""
        for member, score in self._client.zscan_iter(self.keys(period)[0], count=BATCH):
            yield _text(member), _score(score)

    @property
    def _periods(self) -> str:
        return self._key.format(period="periods")


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _score(value: float) -> Score:
    """A score as the entry would have it; others may have put fractions and infinities there."""
    return int(value) if float(value).is_integer() else float(value)


def _told(standing: Standing) -> list[Any]:
    return [standing.member, exact(standing), standing.version, standing.showing.value]


def exact(standing: Standing) -> Score:
    """Its score. Raises LbmigrateError for one beyond EXACT."""
    if abs(standing.score) > EXACT:
        refuse_inexact(standing.member, standing.score)
    return standing.score


def refuse_inexact(member: str, score: Score) -> NoReturn:
    """Raise LbmigrateError for a score that a double does not hold."""
    what = f"user {member!r:.80} has {amount(score, 'point')}, more than a sorted set holds exactly"
    raise LbmigrateError(what, "read the boards from MongoDB: remove redis.url from the configuration")


def _shown_as(standing: Standing, salt: str) -> str:
    if standing.showing == Showing.SHOWN:
        return standing.member
    return f"{GHOST}{hashlib.sha1((salt + standing.member).encode(), usedforsecurity=False).hexdigest()}"
