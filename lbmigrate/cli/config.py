"""The noun of the configuration: init, check, show, schema."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.config.digest import config_digest
from lbmigrate.config.load import flatten, json_schema, schema_text, starter
from lbmigrate.config.yaml_tree import Taken
from lbmigrate.detect.writing import as_yaml
from lbmigrate.errors import UsageError
from lbmigrate.telling.secrets import redact, without_value

app = new_app(no_args_is_help=True, help="The configuration: init, check, show, schema.")


@verb(
    app, "lbmigrate config init --uri mongodb://localhost --database app", "lbmigrate config init other.yaml --template"
)
def init(
    this: Invocation,
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("config/leaderboard.yaml"),
    template: Annotated[
        bool, typer.Option("--template", envvar="LBMIGRATE_TEMPLATE", help="Write the commented template; do not look.")
    ] = False,
    yes: options.Yes = False,
) -> None:
    """Look at the database and write a configuration for it.

    Every collection is sampled and nothing is written to the server. Each value has a comment that says what was seen;
    guesses are marked with CHECK. At a terminal a few questions are asked; --yes takes the likeliest answers. Without a
    server (--uri, LBMIGRATE_URI or MONGODB_URI) it is the commented template.
    """
    with _writable(path):
        _must_be_free(path)
        replaced = path.exists()
    uri = this.overrides.get("database.uri") or os.environ.get("LBMIGRATE_URI") or os.environ.get("MONGODB_URI")
    text, told = (starter(), {"template": True}) if template or not uri else _looked(this, uri, yes)
    with _writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    following = "config check" if "template" in told else "doctor"
    if replaced and "template" not in told:
        this.console.note(f"{path} was the template as it is shipped: it is replaced; git diff shows what is different")
    if uri and not os.environ.get("MONGODB_URI") and "template" not in told:
        this.console.note("the file takes the server from MONGODB_URI; set it, or go on with --uri")
    this.console.note(f"wrote {path}; next: lbmigrate {following} --config {path}")
    this.console.result({"verb": "config init", "path": str(path), **told})


def _must_be_free(path: Path) -> None:
    """Nothing that somebody wrote is replaced; the template as it is shipped may be."""
    if path.is_dir() or (path.exists() and path.read_bytes() != starter().encode()):
        raise UsageError(
            f"{path} exists already and is left as it is",
            f"lbmigrate config check --config {path}, or name another file: lbmigrate config init NAME.yaml",
        )


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "name a file that can be written: lbmigrate config init NAME.yaml"
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint) from error


def _looked(this: Invocation, uri: str, yes: bool) -> tuple[str, dict[str, object]]:
    """The text for what is in the database, and what it came to."""
    name = this.overrides.get("database.name") or os.environ.get("LBMIGRATE_DATABASE")
    found = commands.propose(uri, name)
    this.console.header(redact(uri), str(found.database["name"]))
    if found.questions and confirm.is_possible() and not yes:
        found = commands.propose(
            uri, name, {each.key: confirm.choose(each.text, each.options) for each in found.questions}
        )
    else:
        for each in found.questions:
            this.console.note(f"{each.text} Taken: {each.options[0]}")
    if found.users.nameless:
        this.console.note(found.users.nameless)
    for source in found.sources:
        this.console.note(f"{source.name}: {source.values['collection']}, {source.why['collection'].evidence}")
    for collection, reason in found.left_out.items():
        this.console.note(f"{collection} is left out: {reason}")
    told = {"users": found.users.values["collection"], "sources": [source.values for source in found.sources]}
    return as_yaml(found), {"database": found.database["name"], **told}


@verb(app, "lbmigrate config check --config config/leaderboard.yaml")
def check(this: Invocation) -> None:
    """Read the configuration and name every problem in it."""
    loaded = this.loaded()
    names = ", ".join(source.name for source in loaded.config.sources)
    this.console.note(f"{loaded.path} is fine: sources {names}; next: lbmigrate doctor")
    this.console.result({"verb": "config check", "path": str(loaded.path), "digest": config_digest(loaded.config)})


@verb(app, "lbmigrate config show", "lbmigrate config show --json")
def show(this: Invocation) -> None:
    """Show every value and where it comes from; URIs and variables without their secrets."""
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


@verb(app, "lbmigrate config schema > leaderboard.schema.json")
def schema(this: Invocation) -> None:
    """Print the JSON Schema of the configuration, for editors."""
    this.console.text(schema_text())
    this.console.result({"verb": "config schema", "schema": json_schema()})
