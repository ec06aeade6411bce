"""Whether a Redis is fit for boards: who it is, whether it takes writes, what it does when its memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbmigrate.board.redis_client import client_of, explained

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

POLICY = "CONFIG SET maxmemory-policy noeviction; keep it in the server's configuration"


@dataclass(frozen=True, slots=True)
class Soundness:
    """One thing looked at: the fact, and what ends it; an empty `fix` says that it is well."""

    fact: str
    fix: str = ""


def looked_at(config: Config) -> Iterator[Soundness]:
    """What there is to say of the Redis that a configuration names. Raises what keeps it from being used at all."""
    with explained(str(config.redis.url)):
        told: dict[str, Any] = client_of(str(config.redis.url)).info()
    name = "Valkey" if told.get("server_name") == "valkey" else "Redis"
    version = told.get("valkey_version", told.get("redis_version", "?"))
    yield Soundness(f"{name} {version}, {told.get('used_memory_human', '?')} in use")
    if told.get("role") == "slave":
        yield Soundness("it is a read-only replica: no board can be written to it", "name the primary in redis.url")
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if told.get("maxmemory") and _would_drop(policy, config):
        yield Soundness(f"its maxmemory-policy is {policy}: when memory is full it drops boards without notice", POLICY)


def _would_drop(policy: str, config: Config) -> bool:
    """Whether keys of boards go: only those that expire have a lifetime, which is all that `volatile` looks at."""
    return policy.startswith("allkeys") or (policy.startswith("volatile") and config.redis.keep is not None)
