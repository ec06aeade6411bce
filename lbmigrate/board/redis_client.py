"""The connection to Redis: opened late, answered soon or not at all, and never shown with its password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.telling.secrets import redact, scrub

if TYPE_CHECKING:
    import redis

ANSWER = 0.5  # seconds: an app is waiting
PATIENT = 30.0  # seconds for whoever rebuilds or empties a stream: a step of a large board takes its time


@lru_cache(maxsize=8)
def client_of(url: str, answer: float = ANSWER) -> redis.Redis:
    """A client for `redis://`, `rediss://` or `unix://`, shared by all who ask for the same. Connects when used.

    It waits so many seconds for an `answer`.

    Raises UsageError for what is no such URL, and where the library is not installed.
    """
    try:
        import redis  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise UsageError("redis.url is set, and the redis client is not installed", HINT) from error
    waits: dict[str, Any] = {"socket_timeout": answer, "socket_connect_timeout": ANSWER}
    try:
        return redis.Redis.from_url(url, client_name="lbmigrate", protocol=2, **waits)
    except ValueError as error:
        hint = "write redis://HOST:6379/0, or rediss:// for TLS, in redis.url or LBMIGRATE_REDIS_URL"
        raise UsageError(f"redis.url {redact(url)} cannot be used: {scrub(str(error), url)}", hint) from None


HINT = "pip install 'lbmigrate[redis]', or remove redis.url from the configuration"
# By the words of the server; the client leaves out the codes of some of them.
MEANINGS = (
    ("WRONGPASS|invalid username-password", "rejected the user name or the password",
     "check both in redis.url or LBMIGRATE_REDIS_URL"),
    ("NOAUTH|Authentication required", "wants a password",
     "write redis://USER:PASSWORD@HOST:6379/0 in redis.url or LBMIGRATE_REDIS_URL"),
    ("NOPERM|no permissions", "misses a right", "ACL SETUSER the user with ~* and +@all -@admin -@dangerous +info"),
    ("READONLY|read only replica", "is a read-only replica", "name the primary in redis.url"),
    ("OOM|maxmemory", "is out of memory", "raise its maxmemory, then: lbmigrate boards rebuild"),
    ("WRONGTYPE|wrong kind of value", "holds another kind of value under a key of the boards",
     "remove that key, or choose another redis.key"),
    ("MISCONF", "cannot save to its disk", "look at its log, then: lbmigrate boards rebuild"),
    ("MOVED|CROSSSLOT|CLUSTERDOWN", "is one node of a cluster and does not have every key",
     "name an endpoint that serves the whole cluster in redis.url"),
    ("Protocol Error|unknown command|InvalidResponse", "does not speak the protocol of Redis",
     "check the host and the port in redis.url or LBMIGRATE_REDIS_URL"),
    ("LOADING", "is loading its data", "try again in a moment"),
    ("CERTIFICATE_VERIFY_FAILED", "has a certificate that this machine does not trust",
     "add ?ssl_ca_certs=FILE with the certificate of its authority to redis.url"),
    ("reset by peer|closed by server", "closed the connection",
     "look at its log; where it wants TLS, write rediss:// in redis.url"),
)  # fmt: skip


def explain(error: Exception, url: str) -> LbmigrateError:
    """Say what an error of Redis means to an operator, and what to do next. Never quotes a password of `url`."""
    server, reason = redact(url), scrub(str(error), url)
    for words, meaning, hint in MEANINGS:
        if re.search(words, str(error)):
            return LbmigrateError(f"Redis at {server} {meaning}: {reason}", hint)
    return LbmigrateError(f"Redis at {server} cannot be used: {reason}", "check that it runs, and redis.url")


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Within the block, errors of Redis become what they mean to an operator."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "redis":
            raise
        raise explain(error, url) from error
