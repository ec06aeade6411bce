"""What every verb starts from: the options that all verbs share, the configuration, the console, the connection."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lbmigrate import commands
from lbmigrate.cli import options, signals, variables
from lbmigrate.cli.observed import NOBODY, LogFormat, Observers
from lbmigrate.cli.shared import OBSERVED, SHARED
from lbmigrate.config.load import Loaded, read_config
from lbmigrate.config.model import Config
from lbmigrate.console import Console
from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import overruled
from lbmigrate.records import Report
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.stop import Limits, Stop
from lbmigrate.telling import secrets
from lbmigrate.values.limits import is_half
from lbmigrate.workers.executor import Executor

if TYPE_CHECKING:
    from lbmigrate.migration.runner import Terms

FLAWS = 20  # of the state's rows that a verb names


@dataclass(frozen=True, slots=True)
class Invocation:
    """One verb as it was typed: the shared options, and what they open."""

    path: Path | None
    overrides: dict[str, Any]
    console: Console
    allow_functions: str | None = None
    observers: Observers = NOBODY
    variables: tuple[str, ...] = ()  # of the environment, from which options of the verb took their values

    def loaded(self, **more: Any) -> Loaded:
        """The configuration and where each of its values comes from."""
        return read_config(self.path, {**self.overrides, **more}, allow_functions=self.allow_functions)

    @contextmanager
    def connected(
        self, config: Config | None = None, *, tell: bool = True, at_once: bool = False
    ) -> Iterator[Connection]:
        """A connection to the configured server; its first words name the server and the database.

        Where the state and the ledger have come apart that is told too, unless the verb does so itself. What is to be
        done `at_once` waits for no majority.
        """
        config = config or self.loaded().config
        with opened(config, at_once) as connection:
            self.header(config)
            if tell:
                self.tell_apart(connection)
            try:
                yield connection
            finally:
                self._warn(connection)

    @contextmanager
    def connected_silently(self) -> Iterator[Connection]:
        """A connection of which nothing is said, for verbs that say one line."""
        with opened(self.loaded().config) as connection:
            yield connection

    @property
    def as_json(self) -> bool:
        """Whether the result is wanted as JSON."""
        return self.console.as_json

    def _warn(self, connection: Connection) -> None:
        """Name the rows of the state that were met, are not as they must be, and are not put right yet."""
        found = list(connection.state.flaws)
        for sentence in found[:FLAWS]:
            self.console.warning(sentence)
        if len(found) > FLAWS:
            self.console.warning(f"and {len(found) - FLAWS:,} more; next: lbmigrate doctor")

    def tell_apart(self, where: Config | Connection) -> None:
        """Warn where the state and the ledger have come apart."""
        if found := commands.come_apart(where):
            self.console.warning(f"{found.sentence}; next: {found.way}")

    def header(self, config: Config, detail: str = "", server: str = "") -> None:
        """The first words of every verb; the URI without its secrets. Then what the environment decides."""
        self.console.header(server or secrets.redact(config.database.uri), config.database.name, detail)
        if not server and (unused := overruled(config.database.uri, config.backfill.read_preference)):
            told = "lbmigrate reads from the primary and writes with majority, indexes and collections too"
            self.console.note(f"of the URI this is not used: {', '.join(unused)}; {told}")
        if skipping := variables.told(self.variables, os.environ, variables.SKIPPING):
            self.console.warning(skipping)
        if limiting := variables.told(self.variables, os.environ, variables.LIMITING):
            self.console.note(limiting)

    @contextmanager
    def running(
        self,
        limits: Limits = Limits(),
        *,
        workers: int | None = None,
        executor: tuple[Executor, str | None] = (Executor.THREADS, None),
        lock_ttl: str = options.LOCK_TTL,
        wait_lock: str | None = None,
    ) -> Iterator[Terms]:
        """The terms of a run that is shown as it goes; within the block signals ask it to stop.

        Raises UsageError naming the option that cannot be read.
        """
        from lbmigrate.migration.runner import Terms  # noqa: PLC0415  verbs that only look do without

        ttl = options.seconds(lock_ttl, "--lock-ttl")
        patience = options.seconds(wait_lock, "--wait-lock") if wait_lock else 0.0
        stop = Stop(limits)
        others = self.observers.listeners(self.console.warning)
        with signals.heeded(stop, self.console.warning), self.console.listening() as shown:

            def listen(report: Report) -> None:
                for each in (shown, *others):
                    each(report)

            yield Terms(ttl, patience, workers, *executor, stop, listen, command_line())


def command_line(*more: str) -> str:
    """What was typed, without secrets: it is kept in the records of the run, and shown as what goes on with it."""
    return secrets.command_line(["lbmigrate", *sys.argv[1:], *more], os.environ)


def verb(
    app: typer.Typer, *examples: str, name: str | None = None, works: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function whose first parameter is the Invocation; the shared options are added after its own.

    Its help ends with the `examples`, whole command lines. One that `works` has the options for those who listen to a
    run as well.
    """
    added_options = SHARED | OBSERVED if works else SHARED

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(typed: typer.Context, **given: Any) -> None:
            variables.refuse_unknown(os.environ)
            _refuse_halves(given)
            shared = {key: given.pop(key) for key in SHARED}
            observers = Observers(*(given.pop(key) for key in OBSERVED)) if works else NOBODY
            function(replace(_invocation(**shared), observers=observers, variables=_variables(typed)), **given)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for key, (kind, default) in added_options.items()
        ]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads its options from here
            [
                inspect.Parameter("typed", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
                *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
                *added,
            ]
        )
        run.__annotations__ = {p.name: p.annotation for p in run.__signature__.parameters.values()}  # type: ignore[attr-defined]  # see above
        app.command(name, epilog="\n".join(["\b", "Examples:", *(f"  {each}" for each in examples)]))(run)
        return function

    return register


def _refuse_halves(given: Mapping[str, Any]) -> None:
    """Raise UsageError for an argument that is not UTF-8; a path may be anything."""
    for name, value in given.items():
        if isinstance(value, str) and is_half(value):
            what = f"the value of {name.replace('_', '-')} is not UTF-8: {value!r}"
            raise UsageError(what, "type it again where the locale is UTF-8; locale shows what it is")


def _variables(typed: typer.Context) -> tuple[str, ...]:
    """The variables that options took their values from; what was typed goes before them."""
    taken = (each for each in typed.command.params if each.envvar and each.name)
    sources = ((str(each.envvar), typed.get_parameter_source(str(each.name))) for each in taken)
    return tuple(name for name, source in sources if source is not None and source.name == "ENVIRONMENT")


def _invocation(
    config: Path | None,
    uri: str | None,
    database: str | None,
    allow_functions: str | None,
    json: bool,
    quiet: bool,
    debug: bool,
    log_format: LogFormat,
) -> Invocation:
    given = {"database.uri": uri, "database.name": database}
    overrides = {key: value for key, value in given.items() if value is not None}
    return Invocation(
        config, overrides, Console(as_json=json, quiet=quiet, json_log=log_format is LogFormat.JSON), allow_functions
    )
