"""The Redis of the boards, where one is configured. Runs go on without it, so none of its troubles forbids one."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.board.soundness import looked_at
from lbmigrate.checks.finding import Finding
from lbmigrate.errors import LbmigrateError
from lbmigrate.run.context import Context

SUBJECT = "redis"
STALE = "the boards in Redis are stale, and ranks are counted in MongoDB"


def findings(context: Context) -> Iterator[Finding]:
    """What `doctor` says of Redis; nothing where none is configured."""
    if context.config.redis.url is None:
        return
    try:
        for each in looked_at(context.config):
            yield Finding("warning" if each.fix else "ok", SUBJECT, each.fact, each.fix)
    except LbmigrateError as error:
        yield Finding("warning", SUBJECT, error.message, error.hint)
    if context.state.get("boards").get("stale"):
        yield Finding("warning", SUBJECT, STALE, "lbmigrate boards rebuild")
