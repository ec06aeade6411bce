"""The noun of the configuration: init, check, show, schema."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.config.digest import config_digest
from lbmigrate.config.load import flatten, json_schema, schema_text, starter
from lbmigrate.config.yaml_tree import Taken
from lbmigrate.errors import UsageError
from lbmigrate.telling.secrets import redact, without_value

app = new_app(no_args_is_help=True, help="The configuration: init, check, show, schema.")


@verb(app)
def init(
    this: Invocation, path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("config/leaderboard.yaml")
) -> None:
    """Write a commented configuration to start from."""
    if path.exists():
        raise UsageError(f"{path} exists already and is left as it is", f"lbmigrate config check --config {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(starter(), encoding="utf-8")
    this.console.note(f"wrote {path}; next: lbmigrate config check --config {path}")
    this.console.result({"verb": "config init", "path": str(path)})


@verb(app)
def check(this: Invocation) -> None:
    """Read the configuration and name every problem in it."""
    loaded = this.loaded()
    names = ", ".join(source.name for source in loaded.config.sources)
    this.console.note(f"{loaded.path} is fine: sources {names}; next: lbmigrate plan")
    this.console.result({"verb": "config check", "path": str(loaded.path), "digest": config_digest(loaded.config)})


@verb(app)
def show(this: Invocation) -> None:
    """Show every value and where it comes from; URIs without their secrets, what `${…}` took as `${…}`."""
    loaded = this.loaded()
    values = flatten(loaded.config)
    rows = [(key, _shown(key, value, loaded.taken), loaded.origins[key]) for key, value in values.items()]
    this.console.config_origins(rows)
    shown = {key: {"value": value, "from": origin} for key, value, origin in rows}
    this.console.result({"verb": "config show", "values": shown})


def _shown(key: str, value: object, taken: Mapping[str, Taken]) -> str:
    """A value as a file would say it, without its secrets."""
    if key in ("database.uri", "redis.url") and value:
        return redact(str(value))
    text = taken[key].text if key in taken else _text(value)
    for place, found in taken.items():
        if place.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{place}."):
            for each in found.values:
                text = without_value(text, each)
    return text


def _text(value: object) -> str:
    if isinstance(value, dt.timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@verb(app)
def schema(this: Invocation) -> None:
    """Print the JSON Schema of the configuration, for editors."""
    this.console.text(schema_text())
    this.console.result({"verb": "config schema", "schema": json_schema()})
