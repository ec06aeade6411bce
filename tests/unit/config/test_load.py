from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from bson import Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.config.digest import config_digest
from lbmigrate.config.load import (
    ENVIRONMENT,
    flatten,
    json_schema,
    load_config,
    read_config,
    schema_text,
    starter,
    starter_config,
)
from lbmigrate.config.model import Config
from lbmigrate.errors import ConfigError, Problem

REPOSITORY = Path(__file__).parents[3]
APPS = Path(__file__).parent / "apps"
HISTORY = REPOSITORY.parent / "shared/data/history/leaderboard.yaml"

VALID = """\
version: 1
database:
  uri: ${MONGODB_URI:-local:.lbmigrate}
  name: app
timezone: UTC
periods: [global, week]
users:
  opt_out: {path: settings.optOut, missing: no}
sources:
  - name: sessions
    collection: sessions
    action: focus_session
    where: {status: done}
    user: {path: userId, as: string}
    at: [endedAt, updatedAt]
    let:
      minutes: {path: seconds, unit: seconds, to: minutes}
      weight: {path: priority, map: {1: 1, 2: 2, yes: 3}, default: 1}
    points: floor(minutes) * weight
    meta: {priority: priority}
backfill: {chunk_size: 500, lag: 2h}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.yaml"


def load(
    file: Path,
    text: str = VALID,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    file.write_text(text, "utf-8")
    return load_config(file, overrides, environ or {}, ["rules"])


def problems(file: Path, text: str, environ: Mapping[str, str] | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as raised:
        load(file, text, environ)
    assert raised.value.exit_code == 2
    return list(raised.value.problems)


def where(file: Path, text: str) -> dict[str, Any]:
    return load(file, VALID.replace("{status: done}", text)).sources[0].where


# what a file says


def test_a_valid_file_is_read_with_shorthand_numbers_and_words_as_they_were_meant(file: Path) -> None:
    config = load(file)
    session = config.sources[0]
    assert config.users.opt_out is not None
    assert config.users.opt_out.missing is False
    assert session.let["weight"].map == {1: 1.0, 2: 2.0, "yes": 3.0}
    assert session.at == ("endedAt", "updatedAt")
    assert session.user.coerce == "string"
    assert config.backfill.lag == dt.timedelta(hours=2)


def test_the_starter_is_the_shipped_example_and_says_what_the_design_says(file: Path) -> None:
    assert (REPOSITORY / "config/leaderboard.yaml").read_text("utf-8") == starter()
    config = load(file, starter())
    assert [(source.name, source.points) for source in config.sources] == [
        ("tasks", 10),
        ("sessions", "minimum(floor(minutes), 120) * weight"),
    ]
    assert config.users.display_name == ("displayName", "name")
    assert config.database.uri == "local:.lbmigrate"


def test_the_starters_config_needs_no_file_and_heeds_flags_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_URI", "mongodb://db")
    monkeypatch.setenv("LBMIGRATE_WORKERS", "3")
    monkeypatch.setenv("LBMIGRATE_CONFIG", "gone.yaml")
    config = starter_config({"database.name": "demo"})
    assert (config.database.uri, config.database.name, config.backfill.workers) == ("mongodb://db", "demo", 3)
    assert [source.name for source in config.sources] == ["tasks", "sessions"]
    with pytest.raises(ConfigError, match=r"starter\.yaml: 1 problem"):
        starter_config({"timezone": "Mars"})


@pytest.mark.parametrize("name", ["production", "development"])
def test_an_environment_file_sets_only_variables_that_are_read(name: str) -> None:
    text = (REPOSITORY / f"config/{name}.env").read_text("utf-8")
    variables = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert variables.keys() <= {"LBMIGRATE_CONFIG", *ENVIRONMENT.values()}
    assert load_config(REPOSITORY / variables["LBMIGRATE_CONFIG"], environ=variables).sources


@pytest.mark.parametrize("app", sorted(path.stem for path in APPS.glob("*.yaml")))
def test_the_schemas_of_real_apps_can_be_said(app: str) -> None:
    assert load_config(APPS / f"{app}.yaml", environ={}).sources


@pytest.mark.skipif(not HISTORY.exists(), reason="the real history is not on this machine")
def test_the_config_of_the_real_history_loads() -> None:
    assert [source.name for source in load_config(HISTORY, environ={}).sources] == ["tasks", "sessions"]


# filters


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("{a: 2024-01-01T00:00:00Z}", {"a": dt.datetime(2024, 1, 1)}),
        ("{a: {$gte: 2024-01-01T02:00:00+02:00}}", {"a": {"$gte": dt.datetime(2024, 1, 1)}}),
        ("{a: 2024-01-01}", {"a": dt.datetime(2024, 1, 1)}),
        ("{a: {$date: 2024-01-01T00:00:00Z}}", {"a": dt.datetime(2024, 1, 1)}),
        ("{a: {$date: '2024-01-01T00:00:00Z'}}", {"a": dt.datetime(2024, 1, 1)}),
        ("{a: {$oid: 0123456789abcdef01234567}}", {"a": ObjectId("0123456789abcdef01234567")}),
        ("{a: {$in: [{$numberLong: '5'}]}}", {"a": {"$in": [Int64(5)]}}),
        ("{a: {$numberDecimal: '1.5'}}", {"a": Decimal128("1.5")}),
        ("{a: {$regex: ^x, $options: i}}", {"a": {"$regex": "^x", "$options": "i"}}),
        ("{a: {$type: string}, b: null, c: true}", {"a": {"$type": "string"}, "b": None, "c": True}),
        ("{on: 1, 2: 3, a.0.b: x}", {"on": 1, "2": 3, "a.0.b": "x"}),
        ("{a: 'yes', b: \"off\"}", {"a": "yes", "b": "off"}),
        ("{$expr: {$lt: [$at, $$NOW]}}", {"$expr": {"$lt": ["$at", "$$NOW"]}}),
        ("{a: '$${x}'}", {"a": "${x}"}),
    ],
)
def test_a_filter_is_read_as_mongodb_means_it(file: Path, said: str, meant: dict[str, Any]) -> None:
    assert where(file, said) == meant


# variables


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("${NAME}", "shop"),
        ("'${NAME}'", "shop"),
        ("a-${NAME}-${NAME}", "a-shop-shop"),
        ("${NAME:-app}", "shop"),
        ("${EMPTY:-app}", "app"),
        ("${UNSET:-app}", "app"),
        ("${EMPTY}x", "x"),
    ],
)
def test_variables_come_from_the_environment(file: Path, said: str, meant: str) -> None:
    config = load(file, VALID.replace("name: app", f"name: {said}"), {"NAME": "shop", "EMPTY": ""})
    assert config.database.name == meant


@pytest.mark.parametrize(("said", "meant"), [("$${NAME}", "${NAME}"), ("pa$$word", "pa$word"), ("a$b", "a$b")])
def test_a_doubled_dollar_is_a_dollar(file: Path, said: str, meant: str) -> None:
    assert load(file, VALID.replace("${MONGODB_URI:-local:.lbmigrate}", said)).database.uri == meant


def test_a_variable_may_stand_for_a_number(file: Path) -> None:
    text = VALID.replace("500", "'${SIZE:-250}'")
    assert load(file, text).backfill.chunk_size == 250
    assert load(file, text, {"SIZE": "7"}).backfill.chunk_size == 7


# problems


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("name: app", "nmae: app", "database.nmae", "unknown key 'nmae'; did you mean 'name'?"),
        ("timezone: UTC", "zzz: UTC", "zzz", "unknown key 'zzz'; known here: version, database, timezone,"),
        ("timezone: UTC", "redis: {}\ntrue: x", "true", "unknown key 'true'"),
        ("meta: {", "user_collection: s\n    meta: {", "sources[0].user_collection", "did you mean 'collection'?"),
        ("as: string", "as_: string", "sources[0].user.as_", "did you mean 'as'?"),
        ("as: string", "coerce: string", "sources[0].user.coerce", "unknown key 'coerce'; known here: path, as"),
        ("unit: seconds", "units: seconds", "sources[0].let.minutes.units", "did you mean 'unit'?"),
        ("timezone: UTC", "timezone: UCT+1", "timezone", "no time zone is called 'UCT+1'"),
        ("[global, week]", "[global, weekly]", "periods[1]", "not 'weekly'; did you mean 'week'?"),
        ("[global, week]", "week", "periods", "must be a list, not 'week'"),
        ("missing: no}", "missing: never}", "users.opt_out.missing", "must be true or false, not 'never'"),
        (", missing: no}", "}", "users.opt_out.missing", "is missing"),
        ("name: app", "name: 2024", "database.name", "must be text, not 2024"),
        ("name: app", "name: 2024-01-01", "database.name", "must be text, not 2024-01-01"),
        ("name: app", "name: a.b", "database.name", "must be a database name"),
        ("    action: focus_session\n", "", "sources[0].action", "is missing"),
        ("as: string", "as: objectid", "sources[0].user.as", "did you mean 'objectId'?"),
        ("user: {path: userId, as: string}", "user: a..b", "sources[0].user", "must be a field path such as"),
        ("user: {path: userId, as: string}", "user: 5", "sources[0].user", "must be a mapping (`key: value`), not 5"),
        ("at: [endedAt, updatedAt]", "at: []", "sources[0].at", "must not be empty"),
        ("at: [endedAt, updatedAt]", "at: $now", "sources[0].at", "must be a field path such as profile.name"),
        ("at: [endedAt, updatedAt]", "at: [endedAt, 7]", "sources[0].at[1]", "must be text, not 7"),
        ("path: seconds, unit", "between: [a], unit", "sources[0].let.minutes.between[1]", "is missing"),
        ("{path: seconds, unit: seconds, to", "{between: [a, b, c], to", "sources[0].let.minutes.between", "2 items"),
        (", to: minutes}", "}", "sources[0].let.minutes", "`unit` and `to` go together"),
        ("2: 2", "1.5: 2", "sources[0].let.weight.map.1.5", "must be a whole number or text, not 1.5"),
        ("2: 2", "2: two", "sources[0].let.weight.map.2", "must be a number, not 'two'"),
        ("default: 1}", "default: .nan}", "sources[0].let.weight.default", "must be a number, not nan"),
        (
            "unit: seconds",
            "unit: seconds, unit: ms",
            "sources[0].let.minutes.unit",
            "is written twice, first on line 17",
        ),
        (
            "minutes: {",
            "per-minute: {path: a}\n      minutes: {",
            "sources[0].let.per-minute",
            "must be a name that a formula",
        ),
        ("* weight", "* wieght", "sources[0].points", "did you mean weight?"),
        ("points: floor(minutes) * weight", "points: 2.5", "sources[0].points", "whole number or text, not 2.5"),
        ("points: floor(minutes) * weight", "points: true", "sources[0].points", "not true or false"),
        ("{priority: priority}", "{origin: priority}", "sources[0].meta", "origin is written by lbmigrate itself"),
        ("{status: done}", "done", "sources[0].where", "must be a mapping (`key: value`), not 'done'"),
        ("{status: done}", "{$where: x}", "sources[0].where.$where", "$where runs JavaScript on the server"),
        ("{status: done}", "{$or: [{$expr: {$function: {}}}]}", "sources[0].where.$or[0].$expr.$function", "JavaScr"),
        ("{status: done}", "{a: yes}", "sources[0].where.a", "write true, false or 'yes' in quotes"),
        ("{status: done}", "{a: [On]}", "sources[0].where.a[0]", "write true, false or 'On' in quotes"),
        ("{status: done}", "{a: 2024-13-01}", "sources[0].where.a", "2024-13-01 cannot be read: month must be"),
        ("{status: done}", "{a: {$oid: xyz}}", "sources[0].where.a", "is not the Extended JSON that it looks like"),
        ("{status: done}", "{a: {$date: [1]}}", "sources[0].where.a", "is not the Extended JSON that it looks like"),
        ("name: app", "name: ${UNSET}", "database.name", "UNSET is not set; set it, or write ${UNSET:-default}"),
        ("name: app", "name: ${UNSET", "database.name", "write $${ for a plain ${"),
        ("name: app", "name: ${A:-${B}}", "database.name", "write $${ for a plain ${"),
        ("chunk_size: 500", "chunk_size: 0", "backfill.chunk_size", "must be at least 1, not 0"),
        ("chunk_size: 500", "chunk_size: 5e9", "backfill.chunk_size", "must be a whole number, not '5e9'"),
        ("chunk_size: 500", "chunk_size: 2000000", "backfill.chunk_size", "must be at most 1000000, not 2000000"),
        ("lag: 2h", "lag: soon", "backfill.lag", "must be a duration such as 90s, 15m, 2h, 1d or 1w, not 'soon'"),
        ("lag: 2h", "lag: -5", "backfill.lag", "must be at least"),
        (
            "unit: seconds",
            "unit: mili",
            "sources[0].let.minutes.unit",
            "must be ns, us, ms, seconds, minutes, hours, d",
        ),
        ("to: minutes", "to: 60", "sources[0].let.minutes.to", "or another name of one, not '60'"),
        ("{status: done}", "{a: {$gtt: 5}}", "sources[0].where.a.$gtt", "no operator $gtt; did you mean $gt?"),
        ("* weight", "* weight\n    points_range: [5, 1]", "sources[0].points_range", "5 is more than 1"),
        ("* weight", "* weight\n    points_range: [0]", "sources[0].points_range[1]", "is missing"),
        ("points: floor(minutes) * weight", "points: rule:call", "sources[0].points", "say --allow-functions rule "),
        ("chunk_size: 500", "chunk_size: 99999999999999999999", "backfill.chunk_size", "larger than a number can be"),
        ("lag: 2h", "lag: 99999d", "backfill.lag", "must be at most"),
        ("lag: 2h}", "lag: 2h}\nflag: {collection: sessions}", "flag", "sources are only read"),
        ("lag: 2h}", "lag: 2h}\nbackfill: {lag: 2h}", "backfill", "is written twice, first on line 21"),
        ("collection: sessions", "collection: score_events", "sources[0].collection", "is written by lbmigrate itself"),
        (
            "version: 1",
            "version: 2",
            "version",
            "the file is written for version 2, and this lbmigrate reads version 1",
        ),
    ],
)
def test_a_mistake_is_told_with_its_path_and_line(file: Path, old: str, new: str, path: str, words: str) -> None:
    text = VALID.replace(old, new, 1)
    assert text != VALID
    (problem,) = problems(file, text)
    assert problem.path == path
    assert words in problem.message
    assert problem.line == expected_line(old, new)


def expected_line(old: str, new: str) -> int:
    """The line of the change that has the mistake; a key taken out is missed where its mapping begins."""
    if not new:
        return VALID[: VALID.index("- name: sessions")].count("\n") + 1
    mistake = new.removesuffix(old) or new  # what is put before something leaves that as it was
    return (VALID[: VALID.index(old)] + mistake.rstrip()).count("\n") + 1


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines(file: Path) -> None:
    text = VALID.replace("name: app", "nmae: app").replace("* weight", "* wieght").replace("UTC", "${ZONE}")
    found = problems(file, text.replace("chunk_size: 500", "chunk_size: many").replace("{status: done}", "{a: yes}"))
    assert [(problem.line, problem.path) for problem in found] == [
        (4, "database.nmae"),
        (5, "timezone"),
        (13, "sources[0].where.a"),
        (19, "sources[0].points"),
        (21, "backfill.chunk_size"),
    ]


def test_the_error_names_the_file_the_count_and_the_command_to_check_it(file: Path) -> None:
    with pytest.raises(ConfigError, match="2 problems") as raised:
        load(file, VALID.replace("UTC", "Mars").replace("500", "0"))
    assert raised.value.message == f"{file}: 2 problems"
    assert raised.value.hint == f"lbmigrate config check --config {file}"
    assert raised.value.__notes__[0].startswith(f"{file}:5: timezone no time zone")


def test_a_file_for_another_version_is_not_blamed_for_its_other_keys(file: Path) -> None:
    (problem,) = problems(file, "boards: [a]\nversion: 2\n")
    assert (problem.path, problem.line) == ("version", 2)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML: while parsing a flow sequence"),
        ("a: 1\nb: {c: ${D}}\n", 2, "put ${NAME} in quotes inside { } and [ ]"),
        ("a: 1\n\tb: 2\n", 2, "not YAML: "),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: 1\nb: *nowhere\n", 2, "undefined alias"),
        ("a: !!python/object:os.system x\n", 1, "could not determine a constructor"),
        ("a: &loop [1, *loop]\n", 1, "this contains itself"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "a key must be a word or a number"),
        ("a: 1\nb: \0\n", 2, "special characters are not allowed"),
        ("- a\n", 1, "must be a mapping"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(file: Path, text: str, line: int, words: str) -> None:
    (problem,) = problems(file, text)
    assert problem.line == line
    assert words in problem.message


def test_an_empty_file_lacks_its_sources(file: Path) -> None:
    assert problems(file, "") == [Problem("sources", "is missing")]


def test_a_message_never_shows_a_uri(file: Path) -> None:
    (problem,) = problems(file, re.sub(r"database:\n.*\n.*\n", "database: mongodb://me:secret@host\n", VALID))
    assert problem == Problem("database", "must be a mapping (`key: value`), not this text", 2)


def test_sources_may_share_what_is_equal_through_a_merge_key(file: Path) -> None:
    text = VALID.replace("  - name", "  - &first\n    name") + ""
    shared = text.replace("backfill", "  - {<<: *first, name: older, where: {status: old}}\nbackfill")
    older = load(file, shared).sources[1]
    assert (older.name, older.where, older.action) == ("older", {"status": "old"}, "focus_session")


# finding the file


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml does not exist") as raised:
        load_config(tmp_path / "gone.yaml", environ={})
    assert raised.value.hint == f"lbmigrate config init {tmp_path / 'gone.yaml'}"


def test_a_directory_or_binary_file_is_refused_in_words(tmp_path: Path, file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, environ={})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(file, environ={})


def test_without_a_path_the_variable_then_the_usual_places_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no configuration: neither"):
        read_config(environ={})
    for name in ("leaderboard.yaml", "config/leaderboard.yaml", "other.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(VALID, "utf-8")
        environ = {"LBMIGRATE_CONFIG": name} if name == "other.yaml" else {}
        assert read_config(environ=environ).path == Path(name)


# precedence


def test_a_flag_goes_before_the_environment_that_before_the_file_that_before_the_default(file: Path) -> None:
    file.write_text(VALID, "utf-8")
    environ = {"LBMIGRATE_DATABASE": "from_env", "LBMIGRATE_CHUNK_SIZE": "7", "LBMIGRATE_REDIS_URL": ""}
    loaded = read_config(file, {"database.name": "from_flag", "timezone": None}, environ)
    values = flatten(loaded.config)
    assert {path: (values[path], loaded.origins[path]) for path in ORIGINS} == ORIGINS | {
        "sources[0].user.path": ("userId", f"{file}:14"),
        "timezone": ("UTC", f"{file}:5"),
    }
    assert loaded.origins.keys() == values.keys()


ORIGINS: dict[str, tuple[Any, str]] = {
    "database.name": ("from_flag", "flag"),
    "backfill.chunk_size": (7, "environment LBMIGRATE_CHUNK_SIZE"),
    "timezone": ("UTC", ""),
    "sources[0].user.path": ("userId", ""),
    "sources[0].unwind": (None, "default"),
    "redis.url": (None, "default"),
    "backfill.workers": (2, "default"),
}


@pytest.mark.parametrize(("path", "variable"), ENVIRONMENT.items())
def test_every_variable_of_the_table_reaches_its_setting(file: Path, path: str, variable: str) -> None:
    value = {"timezone": "Asia/Tokyo", "backfill.lag": "3"}.get(path, "3")
    file.write_text(VALID, "utf-8")
    loaded = read_config(file, environ={variable: value})
    assert loaded.origins[path] == f"environment {variable}"
    assert flatten(loaded.config)[path] in (value, int("3"), dt.timedelta(seconds=3))


def test_a_shorthand_a_line_holds_gives_its_line_to_what_it_stands_for(file: Path) -> None:
    file.write_text(VALID.replace("{path: userId, as: string}", "userId"), "utf-8")
    assert read_config(file, environ={}).origins["sources[0].user.path"] == f"{file}:14"


def test_a_problem_of_a_variable_names_the_variable_instead_of_a_line(file: Path) -> None:
    (problem,) = problems(file, VALID, {"LBMIGRATE_WORKERS": "many"})
    assert problem == Problem(
        "backfill.workers", "must be a whole number, not 'many' (environment LBMIGRATE_WORKERS)", None
    )


def test_an_unset_variable_does_not_matter_where_a_flag_replaces_it(file: Path) -> None:
    config = load(file, VALID.replace("name: app", "name: ${UNSET}"), overrides={"database.name": "given"})
    assert config.database.name == "given"


def test_an_override_of_an_unknown_path_is_a_problem(file: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(file, overrides={"database.nam": "x"})
    assert raised.value.problems == (Problem("database.nam", "unknown key 'nam'; did you mean 'name'? (flag)"),)


# digest and schema


def test_the_digest_ignores_the_order_of_keys_and_everything_that_decides_no_points(file: Path) -> None:
    first = config_digest(load(file))
    assert re.fullmatch("[0-9a-f]{12}", first)
    moved = VALID.replace("1: 1, 2: 2, yes: 3", "yes: 3, 2: 2, 1: 1").replace("[global, week]", "[week, global]")
    assert config_digest(load(file, moved, {"LBMIGRATE_WORKERS": "5", "LBMIGRATE_URI": "local:x"})) == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("UTC", "Asia/Tokyo"),
        ("[global, week]", "[global]"),
        ("status: done", "status: 'done '"),
        ("{status: done}", "{a: {$oid: 0123456789abcdef01234567}}"),
        ("1: 1", "'1': 1"),
        ("* weight", "+ weight"),
    ],
)
def test_the_digest_changes_with_whatever_decides_points(file: Path, old: str, new: str) -> None:
    assert config_digest(load(file, VALID.replace(old, new))) != config_digest(load(file))


def test_the_schema_allows_shorthand_and_forbids_unknown_keys() -> None:
    described = json_schema()
    assert described["additionalProperties"] is False
    assert described["required"] == ["sources"]
    assert {"type", "items"} <= described["$defs"]["Source"]["properties"]["at"]["anyOf"][1].keys()
    assert described["$defs"]["Source"]["properties"]["user"]["anyOf"][0]["type"] == "string"
    assert "as" in described["$defs"]["UserRef"]["properties"]


def test_the_schemas_text_is_the_schema_indented() -> None:
    assert json.loads(schema_text()) == json_schema()
    assert '\n  "$schema": ' in schema_text()


# any valid config

text = st.text(st.characters(codec="utf-8"), max_size=8)
paths = st.from_regex(r"[A-Za-z_]{1,5}(\.[A-Za-z0-9]{1,4})?", fullmatch=True)
numbers = st.floats(-1e6, 1e6)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | text
dates = st.datetimes(min_value=dt.datetime(1970, 1, 1))
keys = st.from_regex(r"[A-Za-z0-9_ ]{1,6}", fullmatch=True) | st.sampled_from(["yes", "on", "null"])
plain_values = st.recursive(
    scalars | dates, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)
conditions = st.dictionaries(st.sampled_from(["$gte", "$ne"]), plain_values, min_size=1)
conditions |= st.fixed_dictionaries({"$in": st.lists(plain_values, max_size=3)})
fields = st.dictionaries(keys, plain_values | conditions, max_size=3)
filters = fields | st.fixed_dictionaries({"$or": st.lists(fields, min_size=1, max_size=2)})
lets = st.one_of(
    st.fixed_dictionaries({"path": paths | st.lists(paths, min_size=1, max_size=2)}, optional={"missing": numbers}),
    st.fixed_dictionaries({"between": st.tuples(paths, paths).map(list)}, optional={"to": st.just("minutes")}),
    st.fixed_dictionaries(
        {"path": paths, "map": st.dictionaries(st.integers() | text, numbers, max_size=3)},
        optional={"default": numbers},
    ),
)
sources = st.fixed_dictionaries(
    {
        "name": st.just("tasks"),
        "collection": st.just("tasks"),
        "action": st.just("done"),
        "user": paths | st.fixed_dictionaries({"path": paths, "as": st.sampled_from(["objectId", "string"])}),
        "at": paths | st.lists(paths, min_size=1, max_size=3),
        "let": st.fixed_dictionaries({"n": lets}),
        "points": st.integers(-1000, 1000) | st.sampled_from(["floor(n)", "n * 2 + 1", "rules:score"]),
    },
    optional={"where": filters, "updated": paths, "unwind": paths, "meta": st.dictionaries(st.just("m"), paths)},
)
configs = st.fixed_dictionaries(
    {"sources": sources.map(lambda source: [source])},
    optional={
        "timezone": st.sampled_from(["UTC", "Asia/Kolkata"]),
        "periods": st.lists(st.sampled_from(["global", "day", "week", "month", "year"]), min_size=1, unique=True),
        "database": st.fixed_dictionaries({"uri": text}),
        "users": st.fixed_dictionaries({"opt_out": st.fixed_dictionaries({"path": paths, "missing": st.booleans()})}),
        "backfill": st.fixed_dictionaries({"lag": st.integers(0, 10**6), "workers": st.integers(1, 64)}),
    },
)


@given(plain=configs)
def test_any_valid_config_written_as_yaml_loads_back_equal(
    plain: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    meant = Config.model_validate(plain).allowing(["rules"])
    assert load(file, yaml.safe_dump(escaped(plain), allow_unicode=True)) == meant


def escaped(value: Any, in_filter: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: escaped(item, in_filter or key == "where") for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item, in_filter) for item in value]
    if isinstance(value, str):
        return value.replace("${", "$${") if in_filter else value.replace("$", "$$")
    return value
