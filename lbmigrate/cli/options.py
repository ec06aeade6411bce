"""Options that several verbs have, each with its variable, and how their words are read."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from lbmigrate.config.model import Config
from lbmigrate.config.moment import WRITTEN, moment
from lbmigrate.errors import UsageError
from lbmigrate.rehearsal.engine import Engine
from lbmigrate.run.context import Scope, VerifyOptions, utc_now
from lbmigrate.run.stop import Limits, Window
from lbmigrate.workers.executor import Executor

Since = Annotated[
    str | None, typer.Option(envvar="LBMIGRATE_SINCE", help="Only actions from then on: 2025-05-01, 6mo ago, or all.")
]
Until = Annotated[str | None, typer.Option(envvar="LBMIGRATE_UNTIL", help="Only actions before then.")]
User = Annotated[str | None, typer.Option(envvar="LBMIGRATE_USER", help="Only this user's actions.")]
Workers = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_WORKERS", min=1, max=64, help="Workers: threads or processes.")
]
ExecutorOption = Annotated[
    Executor,
    typer.Option("--executor", envvar="LBMIGRATE_EXECUTOR", help="What works on the chunks."),
]
Estimated = Annotated[bool, typer.Option("--estimate", envvar="LBMIGRATE_ESTIMATE", help="Say what a run will take.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        envvar="LBMIGRATE_SCHEDULER", help="The Dask scheduler, tcp://HOST:PORT; else a cluster of this host."
    ),
]
Sample = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_SAMPLE", min=0, help="Users to draw, besides the top ones.")
]
Top = Annotated[int | None, typer.Option(envvar="LBMIGRATE_TOP", min=0, help="Top N of each period.")]
Seed = Annotated[int | None, typer.Option(envvar="LBMIGRATE_SEED", help="Draws the same sample again.")]
Confidence = Annotated[
    float | None,
    typer.Option(envvar="LBMIGRATE_CONFIDENCE", min=0.5, max=0.999999, help="How sure the sample is to be: 0.999."),
]
MaxError = Annotated[
    float | None,
    typer.Option(envvar="LBMIGRATE_MAX_ERROR", min=1e-9, max=0.5, help="The share of wrong users to rule out: 0.001."),
]
Export = Annotated[
    Path | None, typer.Option(envvar="LBMIGRATE_EXPORT", help="Write every mismatch here, one JSON object a line.")
]
Allow = Annotated[
    int,
    typer.Option(
        envvar="LBMIGRATE_ALLOW", min=0, help="How many actions may be taken back, where that is much of a source."
    ),
]
Repair = Annotated[
    bool, typer.Option("--repair", envvar="LBMIGRATE_REPAIR", help="Repair what can be repaired, and verify again.")
]
Full = Annotated[bool, typer.Option("--full", envvar="LBMIGRATE_VERIFY_FULL", help="Everyone, not a sample.")]
Against = Annotated[
    str | None,
    typer.Option(
        envvar="LBMIGRATE_AGAINST", help="Compare with an old counter: COLLECTION:PATH or COLLECTION:PATH:KEY."
    ),
]
Report = Annotated[
    Path | None, typer.Option(envvar="LBMIGRATE_REPORT", help="Write a report to this file, .html or .md.")
]
To = Annotated[int | None, typer.Option(envvar="LBMIGRATE_TO", help="The step to end at, itself included.")]
Only = Annotated[int | None, typer.Option(envvar="LBMIGRATE_ONLY", help="Only this step.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="Rehearse in memory; write to no server.")
]
Fixtures = Annotated[
    Path | None, typer.Option(envvar="LBMIGRATE_FIXTURES", help="Rehearse on these *.ndjson[.gz] or *.json files.")
]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine", envvar="LBMIGRATE_ENGINE", help="Where --fixtures run; auto: in memory where that is faithful."
    ),
]
Share = Annotated[
    str | None, typer.Option("--sample", envvar="LBMIGRATE_DRY_SAMPLE", help="Rehearse on a part, such as 1%.")
]
Out = Annotated[Path | None, typer.Option(envvar="LBMIGRATE_OUT", help="Keep the outcome of a dry run here.")]
Expect = Annotated[
    Path | None, typer.Option(envvar="LBMIGRATE_EXPECT", help="Compare with an outcome kept here; exits 5.")
]
BackupRef = Annotated[
    str | None, typer.Option(envvar="LBMIGRATE_BACKUP_REF", help="The backup that exists: a snapshot's name and time.")
]
NoBackup = Annotated[
    bool, typer.Option("--no-backup", envvar="LBMIGRATE_NO_BACKUP", help="Start without a backup; that is recorded.")
]
Shard = Annotated[
    bool, typer.Option("--shard", envvar="LBMIGRATE_SHARD", help="Spread the collections over a cluster's shards.")
]
LockTtl = Annotated[
    str, typer.Option("--lock-ttl", envvar="LBMIGRATE_LOCK_TTL", help="How long the lease lasts without renewal.")
]
WaitLock = Annotated[
    str | None, typer.Option("--wait-lock", envvar="LBMIGRATE_WAIT_LOCK", help="How long to wait for another run.")
]
MaxRuntime = Annotated[
    str | None, typer.Option(envvar="LBMIGRATE_MAX_RUNTIME", help="Stop after this long, such as 30m; exits 3.")
]
MaxDocs = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_MAX_DOCS", min=1, help="Stop after reading so many documents; exits 3.")
]
Between = Annotated[
    str | None,
    typer.Option(envvar="LBMIGRATE_BETWEEN", help="Work only in these hours: 01:00-05:00, in the config's zone."),
]
Yes = Annotated[bool, typer.Option("--yes", envvar="LBMIGRATE_YES", help="Do it without asking.")]
Period = Annotated[
    str, typer.Option("--period", "-p", envvar="LBMIGRATE_PERIOD", help="global, 2025-W44, 2025-11 and so on.")
]

MetricsFile = Annotated[
    Path | None,
    typer.Option(envvar="LBMIGRATE_METRICS_FILE", help="Write metrics for the node exporter to this file (*.prom)."),
]
MetricsPush = Annotated[
    str | None, typer.Option(envvar="LBMIGRATE_METRICS_PUSH", help="Push metrics to the Pushgateway at this URL.")
]
HooksDirectory = Annotated[
    Path | None, typer.Option("--hooks", envvar="LBMIGRATE_HOOKS", help="Call the executables of this directory.")
]

LOCK_TTL = "60s"


def instant(words: str | None, option: str) -> dt.datetime | None:
    """What `config.moment` takes, as naive UTC. Raises UsageError naming the option."""
    if words is None:
        return None
    try:
        return moment(words, utc_now())
    except ValueError as error:
        raise UsageError(f"{option} {words!r} is not a valid time", WRITTEN) from error


def scope(since: str | None, until: str | None, user: str | None = None, full: bool = False) -> Scope:
    """The bounds of a backfill. Raises UsageError when they leave nothing, or contradict each other."""
    asked = Scope(instant(since, "--since"), instant(until, "--until"), user, full, words=since or "")
    if asked.since and asked.until and asked.since >= asked.until:
        raise UsageError(f"--since {since} is not before --until {until}", "lbmigrate backfill --help")
    return asked


def verify_options(
    config: Config,
    sample: int | None,
    top: int | None,
    seed: int | None,
    full: bool,
    confidence: float | None = None,
    max_error: float | None = None,
) -> VerifyOptions:
    """What a verification compares; what was not asked for is as the configuration has it, or as usual.

    Raises UsageError where that is nobody, or where options contradict each other.
    """
    usual, rules = VerifyOptions(), config.verify
    if sample == top == 0 and not full:
        raise UsageError("--sample 0 and --top 0 compare nobody", "lbmigrate verify --full, or without either")
    if sample is not None and max_error is not None:
        raise UsageError("--sample and --max-error both say how many users are drawn", "give one of them")
    asked = (sample, top, confidence, max_error)
    return VerifyOptions(
        sample=sample,
        top=usual.top if top is None else top,
        seed=usual.seed if seed is None else seed,
        full=full or (rules.level == "full" and all(each is None for each in asked)),
        confidence=rules.confidence if confidence is None else confidence,
        max_error=rules.max_error if max_error is None else max_error,
    )


SECONDS = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")


def seconds(words: str, option: str) -> float:
    """`60`, `60s`, `5m` or `2h` in seconds. Raises UsageError naming the option."""
    found = SECONDS.fullmatch(words.strip())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{option} {words!r} is not a valid duration", "write 60s, 5m or 2h")
    return float(found[1]) * {None: 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def share(words: str) -> float:
    """`1%`, `1 %` or `0.01` as a share. Raises UsageError for one that is nothing, or more than everything."""
    number = words.strip().removesuffix("%").strip()
    try:
        found = float(number) / (100 if "%" in words else 1)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise UsageError(f"--sample {words!r} is not a valid share", "write 1% or 0.01")
    return found


def executor(kind: Executor, scheduler: str | None) -> tuple[Executor, str | None]:
    """What works on the chunks, and where. Raises UsageError for a scheduler that nobody asks."""
    if scheduler and kind is not Executor.DASK:
        raise UsageError("--scheduler belongs to --executor dask", "add --executor dask, or leave out --scheduler")
    return kind, scheduler


def limits(config: Config, runtime: str | None, documents: int | None, between: str | None) -> Limits:
    """What a run may use. Raises UsageError naming the option that cannot be read."""
    window = _window(between, ZoneInfo(config.timezone)) if between else None
    return Limits(seconds(runtime, "--max-runtime") if runtime else None, documents, window)


def _window(words: str, zone: ZoneInfo) -> Window:
    try:
        start, end = (dt.time.fromisoformat(part.strip()) for part in words.split("-"))
    except ValueError as error:
        raise UsageError(f"--between {words!r} is not a valid window", "write 01:00-05:00 or 22:00-04:00") from error
    if start == end:
        raise UsageError(f"--between {words!r} leaves no time", "write 01:00-05:00 or 22:00-04:00")
    return Window(start, end, zone)
