"""The options that all verbs have, and those of all verbs that work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lbmigrate.cli import options
from lbmigrate.cli.observed import LogFormat

# The first four have their variables read by `config.load`, so that `config show` can tell a flag from a variable.
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file. [env var: LBMIGRATE_CONFIG]")
]
UriOption = Annotated[
    str | None, typer.Option("--uri", help="The server; local:DIR is the embedded one. [env var: LBMIGRATE_URI]")
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", "-d", help="The app's database. [env var: LBMIGRATE_DATABASE]")
]
AllowFunctionsOption = Annotated[
    str | None,
    typer.Option(
        "--allow-functions",
        help="Modules, with commas, whose functions `points` may name. [env var: LBMIGRATE_ALLOW_FUNCTIONS]",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", envvar="LBMIGRATE_JSON", help="Print one JSON object as the last line of stdout.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="LBMIGRATE_QUIET", help="Print results, warnings and errors only.")
]
DebugOption = Annotated[bool, typer.Option("--debug", envvar="LBMIGRATE_DEBUG", help="Show tracebacks.")]
LogFormatOption = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="LBMIGRATE_LOG_FORMAT", help="Progress as text, or as one JSON object a line."),
]
SHARED: dict[str, tuple[Any, Any]] = {
    "config": (ConfigOption, None),
    "uri": (UriOption, None),
    "database": (DatabaseOption, None),
    "allow_functions": (AllowFunctionsOption, None),
    "json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "debug": (DebugOption, False),
    "log_format": (LogFormatOption, LogFormat.TEXT),
}
# Of the verbs that work: who else is to hear of it.
OBSERVED: dict[str, tuple[Any, Any]] = {
    "metrics_file": (options.MetricsFile, None),
    "metrics_push": (options.MetricsPush, None),
    "hooks": (options.HooksDirectory, None),
}
