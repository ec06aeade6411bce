"""Reads a configuration: the YAML file with its lines, the environment, the flags, and what wins.

A flag goes before an `LBMIGRATE_` variable, that before the file, the file before the default. Whatever is wrong is
collected, each problem with its path and line, and raised as one `ConfigError`.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from lbmigrate.config import keys, named_twice, rules
from lbmigrate.config.messages import Loc, complaints, discreet, place, shortened
from lbmigrate.config.model import Config
from lbmigrate.config.yaml_tree import LARGEST, Taken, Tree, dotted, parse
from lbmigrate.errors import ConfigError, Problem
from lbmigrate.telling import secrets

VERSION = 1
MOST_TOLD = 50  # problems of one file
SHORTEST_SECRET = 8  # characters of a flag or a variable of ours; what is shorter is a slip, and shown
HOMES = ("config/leaderboard.yaml", "leaderboard.yaml")
STARTER = resources.files("lbmigrate.config") / "starter.yaml"
ENVIRONMENT = {
    "database.uri": "LBMIGRATE_URI",
    "database.name": "LBMIGRATE_DATABASE",
    "timezone": "LBMIGRATE_TIMEZONE",
    "backfill.chunk_size": "LBMIGRATE_CHUNK_SIZE",
    "backfill.workers": "LBMIGRATE_WORKERS",
    "backfill.lag": "LBMIGRATE_LAG",
    "redis.url": "LBMIGRATE_REDIS_URL",
    "state.database": "LBMIGRATE_STATE_DATABASE",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where each of its values came from.

    `origins` has the keys of `flatten(config)`; a value is `flag`, `environment LBMIGRATE_X`, `file:line` or `default`.
    `taken` has the places of the file that `${…}` has filled, as far as nothing replaces them.
    """

    config: Config
    path: Path
    origins: Mapping[str, str]
    taken: Mapping[str, Taken]


def load_config(
    path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    allow_functions: str | Iterable[str] | None = None,
) -> Config:
    """The configuration in force, as `read` finds it. `overrides` go by dotted path: `{"database.name": "app"}`.

    `allow_functions` are the modules that `points` may name functions of, by default those of the environment variable
    LBMIGRATE_ALLOW_FUNCTIONS (with commas between). Modules under the entry point group `lbmigrate.functions` of an
    installed package are allowed as well.
    """
    return read_config(path, overrides, environ, allow_functions).config


def read_config(
    path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    allow_functions: str | Iterable[str] | None = None,
) -> Loaded:
    """Read, merge and check a configuration.

    Without a path it is `LBMIGRATE_CONFIG`, else the first of `HOMES` that exists. Overrides of None and empty
    variables count as not given. Raises ConfigError with every problem found.
    """
    file = _find(path, environ)
    tree = parse(_text(file), environ)
    if tree.data is None:
        _refuse(file, tree.problems)
    given = dict(_given(overrides or {}, environ))
    for key, (value, _) in given.items():
        _put(tree.data, key, value)
    allowed = rules.allowed_modules(allow_functions, environ, tree.data)
    config, found = _checked(tree.data, allowed)
    problems = [_located(problem, tree, given) for problem in _told_once(tree.problems, found, given)]
    if config is not None and (twice := named_twice.problem(config)):
        said = f" ({given[twice.path][1]})" if twice.path in given else ""
        problems.append(replace(twice, message=twice.message + said, line=tree.line(twice.path)))
    if config is None or problems:
        _refuse(file, sorted(problems, key=lambda problem: problem.line or 0))
    secrets.remember(config.database.uri, config.redis.url)
    secrets.keep(value for path, found in tree.taken.items() if ".where" in path for value in found.values)
    origins = {path: _origin(loc, file, tree, given) for path, loc, _ in _leaves(config.model_dump(by_alias=True))}
    taken = {path: found for path, found in tree.taken.items() if path not in given}
    return Loaded(config.allowing(allowed), file, origins, taken)


def flatten(config: Config) -> dict[str, Any]:
    """Lay out every value of a configuration by its path; filters and value maps stay whole. URIs are as they are."""
    return {path: value for path, _, value in _leaves(config.model_dump(by_alias=True))}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **keys.described(Config.model_json_schema())}


def schema_text() -> str:
    """Write the JSON Schema as the file that editors read."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False)


def starter() -> str:
    """Return the commented file that `config init` writes."""
    return STARTER.read_text("utf-8")


def starter_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration that the starter says, under the environment and `overrides`; LBMIGRATE_CONFIG is no matter."""
    with resources.as_file(STARTER) as file:
        return load_config(file, overrides)


def _find(path: str | Path | None, environ: Mapping[str, str]) -> Path:
    named = path or environ.get("LBMIGRATE_CONFIG")
    if named:
        return Path(named)
    found = next((home for home in HOMES if Path(home).is_file()), None)
    if found is None:
        raise ConfigError(f"no configuration: neither {HOMES[0]} nor {HOMES[1]} exists", hint="lbmigrate config init")
    return Path(found)


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(LARGEST + 1)  # the one too many tells that there is more
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist", hint=f"lbmigrate config init {shlex.quote(str(file))}") from error
    except UnicodeDecodeError as error:
        anew = f"save it as UTF-8, or move it away, then: lbmigrate config init {shlex.quote(str(file))}"
        raise ConfigError(f"{file} is not UTF-8 text", hint=anew) from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint=f"ls -l {shlex.quote(str(file))}") from error


def _given(overrides: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Path, value and origin of what the file does not decide; the later of two equal paths wins."""
    for path, variable in ENVIRONMENT.items():
        if environ.get(variable):
            yield path, (environ[variable], f"environment {variable}")
    for path, value in overrides.items():
        if value is not None:
            yield path, (value, "flag")


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *sections, key = path.split(".")
    here: Any = data
    for section in sections:
        if here.get(section) is None:
            here[section] = {}
        here = here[section]
        if not isinstance(here, dict):
            return  # and the model says that the section is no mapping
    here[key] = value


def _checked(data: Any, allowed: Collection[str]) -> tuple[Config | None, list[Problem]]:
    if not isinstance(data, dict):
        return None, [Problem("", "must be a mapping (`key: value`)")]
    version = data.get("version") or VERSION
    if version != VERSION:
        newer = f"the file is written for version {version}, and this lbmigrate reads version {VERSION}"
        return None, [
            Problem(
                "version",
                f"{newer}; upgrade lbmigrate, or move the file away and start again with `lbmigrate config init`",
            )
        ]
    try:
        return Config.model_validate(data), list(rules.problems_of(data, allowed))
    except ValidationError as error:
        return None, [*complaints(error.errors(), data), *rules.problems_of(data, allowed)]


def _told_once(unreadable: list[Problem], invalid: list[Problem], given: Mapping[str, Any]) -> list[Problem]:
    """Leave out what a flag or variable replaces, and what is only the consequence of a value that cannot be read."""
    first = [problem for problem in unreadable if problem.path not in given]
    paths = {problem.path for problem in first}
    return first + [problem for problem in invalid if problem.path not in paths]


def _refuse(file: Path, problems: list[Problem]) -> NoReturn:
    number = len(problems)
    count = f"{number} problem{'s' if number > 1 else ''}"
    problems = [replace(problem, message=shortened(problem.message)) for problem in problems[:MOST_TOLD]]
    count += f", of which the first {MOST_TOLD} are shown" if len(problems) < number else ""
    error = ConfigError(f"{file}: {count}", problems, hint=f"lbmigrate config check --config {shlex.quote(str(file))}")
    for problem in problems:
        error.add_note(f"{file}:{problem.line or '-'}: {problem.path} {problem.message}")
    raise error


def _located(problem: Problem, tree: Tree, given: Mapping[str, tuple[Any, str]]) -> Problem:
    problem = discreet(problem, (value for taken in tree.taken.values() for value in taken.values))
    if problem.path in given:
        value, origin = given[problem.path]
        problem = discreet(problem, [value] if len(str(value)) >= SHORTEST_SECRET else [])
        return replace(problem, message=f"{problem.message} ({origin})")
    return replace(problem, line=problem.line or tree.line(problem.path))


def _leaves(value: Any, path: str = "", loc: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Loc, Any]]:
    if isinstance(value, dict) and value and loc[-1:] not in {("where",), ("map",)}:
        for key, item in value.items():
            yield from _leaves(item, dotted(path, key), (*loc, key))
    elif isinstance(value, tuple) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]", (*loc, index))
    else:
        yield path, loc, value


def _origin(loc: Loc, file: Path, tree: Tree, given: Mapping[str, tuple[Any, str]]) -> str:
    path, said = place(tree.data, loc)
    if path in given:
        return given[path][1]
    return f"{file}:{tree.line(path)}" if said else "default"
