"""The stream of actions that an app scored into Redis first: read in batches, acknowledged, set aside.

An action is acknowledged by whoever has made it durable. Killed in between, it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis

GROUP = "lbmigrate"
AT_ONCE = 500  # actions
KEPT_REFUSED = 100_000  # actions that were refused, the newest ones


@dataclass(frozen=True, slots=True)
class Action:
    """Its place in the stream, and what the app wrote."""

    place: str
    words: Mapping[str, str]


class Actions:
    """The actions under `key`. What cannot be recorded goes to `refused`, with the reason, and is lost nowhere."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client, self.key = client, key
        self.refused = f"{{{key}}}:refused"  # in one slot of a cluster with the stream

    def batches(self, consumer: str, stopping: Callable[[], bool]) -> Iterator[list[Action]]:
        """First what others took and did not acknowledge, then what nobody has taken, until none is left."""
        self._begin_group()
        start = "0-0"
        while not stopping():
            # Whatever its age: who holds the lease is the only one at work.
            start, found, *_ = self._client.xautoclaim(self.key, GROUP, consumer, 0, start, count=AT_ONCE)
            if found:
                yield list(map(_action, found))
            if start in (b"0-0", "0-0"):
                break
        while not stopping():
            read: Any = self._client.xreadgroup(GROUP, consumer, {self.key: ">"}, count=AT_ONCE)
            if not read:
                return
            yield list(map(_action, read[0][1]))

    def acknowledge(self, batch: Sequence[Action], refused: Mapping[str, str]) -> None:
        """Take a batch out of the stream, in one step; `refused` has the reasons of those to be set aside, by place."""
        with self._client.pipeline(transaction=True) as steps:
            for each in batch:
                if each.place in refused:
                    kept: dict[Any, Any] = {**each.words, "place": each.place, "refused": refused[each.place]}
                    steps.xadd(self.refused, kept, maxlen=KEPT_REFUSED, approximate=True)
            places = [each.place for each in batch]
            steps.xack(self.key, GROUP, *places)
            steps.xdel(self.key, *places)
            steps.execute()

    def waiting(self) -> tuple[int, int]:
        """How many actions wait in the stream, and how many were set aside."""
        return int(self._client.xlen(self.key)), int(self._client.xlen(self.refused))

    def _begin_group(self) -> None:
        try:
            self._client.xgroup_create(self.key, GROUP, id="0", mkstream=True)
        except Exception as error:
            if "BUSYGROUP" not in str(error):  # it is there already
                raise


def _action(found: tuple[bytes, Mapping[bytes, bytes] | None]) -> Action:
    place, fields = found
    words = {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in (fields or {}).items()
    }
    return Action(place.decode(), words)
