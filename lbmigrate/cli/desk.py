"""What every verb starts from: the options that all verbs share, the configuration, the console, the connection."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pymongo.errors import PyMongoError

from lbmigrate.cli import signals
from lbmigrate.config.load import Loaded, read_config
from lbmigrate.config.model import Config
from lbmigrate.console import Console
from lbmigrate.mongo import faults
from lbmigrate.run.connection import Session, connect
from lbmigrate.run.stop import Brake

# The first three have their variables read by `configfile`, so that `config show` can tell a flag from a variable.
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file. [env var: LBMIGRATE_CONFIG]")
]
UriOption = Annotated[
    str | None, typer.Option("--uri", help="The server; local:DIR is the embedded one. [env var: LBMIGRATE_URI]")
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", "-d", help="The app's database. [env var: LBMIGRATE_DATABASE]")
]
JsonOption = Annotated[
    bool, typer.Option("--json", envvar="LBMIGRATE_JSON", help="Print one JSON object as the last line of stdout.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", envvar="LBMIGRATE_QUIET", help="Say no more than asked.")]
DebugOption = Annotated[bool, typer.Option("--debug", envvar="LBMIGRATE_DEBUG", help="Show tracebacks.")]
SHARED: dict[str, tuple[Any, Any]] = {
    "config": (ConfigOption, None),
    "uri": (UriOption, None),
    "database": (DatabaseOption, None),
    "json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "debug": (DebugOption, False),
}


@dataclass(frozen=True, slots=True)
class Desk:
    """The shared options, and what they open."""

    path: Path | None
    overrides: dict[str, Any]
    console: Console

    def loaded(self, **more: Any) -> Loaded:
        """The configuration and where each of its values comes from."""
        return read_config(self.path, {**self.overrides, **more})

    @contextmanager
    def connected(self, config: Config | None = None) -> Iterator[Session]:
        """A session on the configured server; its first words name the server and the database."""
        config = config or self.loaded().config
        with self.explained(config), connect(config) as opened:
            self.console.header(self.shown_uri(config), config.database.name)
            yield opened

    @contextmanager
    def explained(self, config: Config) -> Iterator[None]:
        """Within the block, errors of the driver become what they mean to an operator."""
        try:
            yield
        except PyMongoError as error:
            raise faults.explain(error, config.database.uri) from error

    def shown_uri(self, config: Config) -> str:
        """The server's URI without its secrets."""
        return faults.redact(config.database.uri)

    @contextmanager
    def heeding_signals(self, brake: Brake) -> Iterator[None]:
        """Within the block, SIGINT and SIGTERM press the brake."""
        with signals.heeded(brake, self.console.warning):
            yield


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function whose first parameter is the Desk; the shared options are added after its own."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**options: Any) -> None:
            shared = {key: options.pop(key) for key in SHARED}
            function(_desk(**shared), **options)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for key, (kind, default) in SHARED.items()
        ]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads its options from here
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + added
        )
        run.__annotations__ = {p.name: p.annotation for p in run.__signature__.parameters.values()}  # type: ignore[attr-defined]  # see above
        app.command(name)(run)
        return function

    return register


def _desk(config: Path | None, uri: str | None, database: str | None, json: bool, quiet: bool, debug: bool) -> Desk:
    given = {"database.uri": uri, "database.name": database}
    overrides = {key: value for key, value in given.items() if value is not None}
    return Desk(config, overrides, Console(as_json=json, quiet=quiet))
