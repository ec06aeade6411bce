"""The variables of the environment: all that there are, and which of them bound, skip or agree to something.

A variable that was meant for something else must not decide in silence what a run does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from lbmigrate.errors import UsageError

PREFIX = "LBMIGRATE_"
# Of options, by the words that follow the prefix: what leaves something out, or agrees to it for somebody …
SKIPPING = frozenset({
    "ALLOW", "DRY_RUN", "DRY_SAMPLE", "EXPECT", "FIXTURES", "KEEP_DATA", "NO_BACKUP", "ONLY", "ROLLBACK_TO", "SINCE",
    "TO", "UNTIL", "USER", "YES",
})  # fmt: skip
# … what says how much is done at a time, or that more is …
LIMITING = frozenset({
    "BEFORE", "BETWEEN", "CONFIDENCE", "FULL", "HEAL", "MAX_DOCS", "MAX_ERROR", "MAX_RUNTIME", "NICE", "REASON",
    "REPAIR", "RESET", "SAMPLE",
    "SOURCES", "TOP", "VERIFY_FULL",
})  # fmt: skip
# … and what does neither.
OTHER_OPTIONS = frozenset({
    "AGAINST", "BACKUP_KEY_FILE", "BACKUP_REF", "DATA", "DEBUG", "DEMO_SESSIONS", "DEMO_TASKS", "DEMO_USERS",
    "DIGEST", "DOCUMENTS_PER_SECOND", "ENGINE", "ESTIMATE", "EXECUTOR", "EXPORT", "HEALTH", "HOOKS", "JSON", "KEEP",
    "LOCK_TTL", "LOG_FORMAT", "MAX_STALENESS", "METRICS_FILE", "METRICS_PUSH", "N", "OUT", "PERIOD", "QUIET", "REPORT",
    "SCHEDULER",
    "SEED", "SHARD",
    "TEMPLATE", "WAIT_LOCK", "WATCH", "WORKERS",
})  # fmt: skip
# Read by the configuration, or where they are needed.
OTHERS = frozenset({
    "ALLOW_FUNCTIONS", "BACKUP_KEY", "CHUNK_SIZE", "CONFIG", "DATABASE", "FORGET_KEY", "FORGET_KEY_FILE", "HANDED_OVER",
    "LAG", "MONGOD", "REDIS_URL", "STATE_DATABASE", "TIMEZONE", "URI",
})  # fmt: skip
OF_THE_TESTS = frozenset({"LONG", "POISON", "RACE_DOCS", "RACE_SECONDS", "STATEFUL", "TAIL_KILLS", "TEST_DATABASES"})
KNOWN = frozenset(PREFIX + word for word in SKIPPING | LIMITING | OTHER_OPTIONS | OTHERS | OF_THE_TESTS)
# What Kubernetes sets in every pod beside a service that is called lbmigrate, or lbmigrate-something.
OF_A_SERVICE = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raise UsageError for a variable of ours that does not exist: whoever set it believes that it does something."""
    unknown = sorted(
        name
        for name, value in environ.items()
        if name.startswith(PREFIX) and value and name not in KNOWN and not OF_A_SERVICE.fullmatch(name)
    )
    if unknown:
        raise UsageError(
            f"there is no variable {unknown[0]}{_did_you_mean(unknown[0])}",
            hint=f"unset {' '.join(unknown)}",
            details=[f"nor {name}{_did_you_mean(name)}" for name in unknown[1:]],
        )


def _did_you_mean(name: str) -> str:
    near = get_close_matches(name, sorted(KNOWN), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def told(names: Iterable[str], environ: Mapping[str, str], words: frozenset[str]) -> str:
    """Those of `names`, from which options took their values, that are among `words`, each with its value."""
    shown = [f"{name}={environ[name]}" for name in names if name.removeprefix(PREFIX) in words]
    return f"of the environment, as if their options were typed: {', '.join(shown)}" if shown else ""
