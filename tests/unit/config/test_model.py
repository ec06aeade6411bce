from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from lbmigrate.config.digest import config_digest
from lbmigrate.config.model import Config, Let, Source
from lbmigrate.config.types import duration
from lbmigrate.config.user_ref import UserRef

TASKS = {"name": "tasks", "collection": "tasks", "action": "done", "user": "userId", "at": "doneAt", "points": 10}


def config(**changes: Any) -> Config:
    return Config.model_validate({"sources": [TASKS], **changes})


def source(**changes: Any) -> Source:
    return Source.model_validate({**TASKS, **changes})


def complaint(make: Any, **changes: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        make(**changes)
    return str(raised.value)


def test_only_sources_are_required_and_the_rest_has_the_documented_defaults() -> None:
    defaults = config()
    assert (defaults.version, defaults.timezone, defaults.periods) == (1, "UTC", ("global", "week"))
    assert (defaults.database.uri, defaults.database.name) == ("local:.lbmigrate", "app")
    assert (defaults.users.collection, defaults.users.key, defaults.users.opt_out) == ("users", "_id", None)
    assert (defaults.backfill.chunk_size, defaults.backfill.workers) == (10_000, 2)
    assert defaults.backfill.lag == dt.timedelta(days=1)
    assert (defaults.flag.collection, defaults.flag.id) == ("feature_flags", "leaderboard")
    assert (defaults.redis.url, defaults.state.database) == (None, None)


def test_a_single_path_and_a_list_of_one_say_the_same() -> None:
    assert source(at="endedAt") == source(at=["endedAt"])
    assert source(user="uid") == source(user={"path": "uid"})
    assert config(users={"avatar": "picture"}) == config(users={"avatar": ["picture"]})


def test_a_key_left_empty_is_a_key_left_out() -> None:
    assert config(redis=None, timezone=None, users={"display_name": None}) == config()
    assert source(where=None, let=None) == source()


def test_null_is_a_value_where_nothing_is_a_choice() -> None:
    assert config(throttle={"max_lag": None}).throttle.max_lag is None
    assert config(backfill={"target": None}).backfill.target is None


def test_blank_text_for_redis_and_the_state_database_means_none() -> None:
    assert config(redis={"url": ""}, state={"database": ""}) == config()


def test_the_cursor_is_updated_else_the_first_of_at() -> None:
    assert source(at=["doneAt", "updatedAt"]).cursor == "doneAt"
    assert source(at=["doneAt"], updated="updatedAt").cursor == "updatedAt"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("90", dt.timedelta(seconds=90)),
        ("90s", dt.timedelta(seconds=90)),
        ("15m", dt.timedelta(minutes=15)),
        ("1.5h", dt.timedelta(minutes=90)),
        (" 1d ", dt.timedelta(days=1)),
        ("2w", dt.timedelta(weeks=2)),
        (30, 30),
        ("soon", "soon"),
    ],
)
def test_a_duration_is_a_number_with_a_unit_and_anything_else_is_handed_on(said: Any, meant: Any) -> None:
    assert duration(said) == meant


@pytest.mark.parametrize("path", ["", ".a", "a.", "a..b", "$a", "a\0b"])
def test_what_is_no_field_path_is_refused(path: str) -> None:
    assert "String should match pattern" in complaint(source, updated=path)


@pytest.mark.parametrize("path", ["_id", "profile.name", "profileDetails.0.uid", "größe", "a b"])
def test_field_paths_may_have_dots_indexes_blanks_and_any_letters(path: str) -> None:
    assert source(updated=path).updated == path


@pytest.mark.parametrize(
    ("let", "words"),
    [
        ({}, "give either `path` or `between`"),
        ({"path": "a", "between": ["b", "c"]}, "give either `path` or `between`"),
        ({"path": "a", "unit": "seconds"}, "`unit` and `to` go together"),
        ({"path": "a", "to": "minutes"}, "`unit` and `to` go together"),
        ({"between": ["a", "b"], "unit": "ms"}, "`between` takes only `to` and `missing`"),
        ({"between": ["a", "b"], "map": {"x": 1}}, "`between` takes only `to` and `missing`"),
        ({"path": "a", "default": 1}, "for absent values use `missing`"),
        ({"path": "a", "map": {1.5: 1}}, "must be a whole number or text, not 1.5"),
        ({"path": "a", "missing": float("nan")}, "finite number"),
    ],
)
def test_a_let_that_contradicts_itself_is_refused(let: dict[str, Any], words: str) -> None:
    assert words in complaint(Let.model_validate, obj=let)


def test_the_keys_of_a_value_map_are_words_or_whole_numbers() -> None:
    let = Let.model_validate({"path": "priority", "map": {1: 0.5, "high": 2}, "default": 1})
    assert let.map == {1: 0.5, "high": 2.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": True}, "not true or false"),
        ({"points": 2.5}, "must be a whole number or text, not 2.5"),
        ({"points": 2**53 + 1}, "is more than points can be"),
        ({"meta": {"origin": "from"}}, "origin is written by lbmigrate itself"),
        ({"let": {"2nd": {"path": "a"}}}, "String should match pattern"),
        ({"collection": "score_events"}, "score_events is written by lbmigrate itself"),
        ({"collection": "lbmigrate_rejects"}, "lbmigrate_rejects is written by lbmigrate itself"),
        ({"user": {"path": "uid", "coerce": "string"}}, "Extra inputs are not permitted"),
        ({"wher": {}}, "Extra inputs are not permitted"),
        ({"updated": "a" * 501}, "at most 500 characters"),
        ({"let": {"a" * 61: {"path": "a"}}}, "String should match pattern"),
        ({"points": 10, "points_range": [0, 20]}, "here every action is worth `points`"),
        ({"points": "1 + 1", "points_range": [True, 20]}, "valid integer"),
        ({"points": "1 + 1", "points_range": [-(2**53) - 1, 0]}, "greater than or equal to"),
    ],
)
def test_a_source_that_cannot_be_scored_is_refused(changes: dict[str, Any], words: str) -> None:
    assert words in complaint(source, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": []}, "at least 1 item"),
        ({"sources": [TASKS, TASKS]}, "two sources are called 'tasks'"),
        ({"sources": [TASKS, {**TASKS, "name": "b", "collection": "c"}]}, "from both 'tasks' and 'c'"),
        ({"sources": [TASKS, {**TASKS, "name": "b", "unwind": "items"}]}, "from whole documents and from elements of"),
        ({"periods": ["week", "week"]}, "week is listed twice"),
        ({"periods": []}, "at least 1 item"),
        ({"timezone": "Europe/Atlantis"}, "no time zone is called 'Europe/Atlantis'"),
        ({"flag": {"collection": "tasks"}}, "the flag cannot live in 'tasks'"),
        ({"users": {"opt_out": {"path": "a"}}}, "Field required"),
        ({"database": {"name": "a b"}}, "String should match pattern"),
        ({"backfill": {"lag": "9" * 30 + "w"}}, "longer than a duration can be"),
    ],
)
def test_a_config_that_cannot_work_is_refused(changes: dict[str, Any], words: str) -> None:
    assert words in complaint(config, **changes)


def test_two_sources_may_feed_one_action_from_one_collection() -> None:
    both = config(sources=[TASKS, {**TASKS, "name": "older", "where": {"completed": True}}])
    assert [source.action for source in both.sources] == ["done", "done"]


COLLECTIONS = {
    "a source": lambda name: {"sources": [{**TASKS, "collection": name}]},
    "users": lambda name: {"users": {"collection": name}},
    "the flag": lambda name: {"flag": {"collection": name}},
}


@pytest.mark.parametrize("make", COLLECTIONS.values(), ids=COLLECTIONS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("system.users", "system.users belongs to the server"),
        ("system.views", "system.views belongs to the server"),
        ("$cmd", "no collection can be called '$cmd'"),
        ("a$b", "no collection can be called 'a$b'"),
        ("a\0b", "no collection can be called"),
        (".a", "no collection can be called"),
        ("a..b", "no collection can be called"),
        ("ä" * 120, "at most 235 bytes"),
        ("", "at least 1 character"),
        ("score_events", "is written by lbmigrate itself"),
        ("lbmigrate_state", "is written by lbmigrate itself"),
    ],
)
def test_what_can_be_no_collection_of_the_app_is_refused_wherever_it_is_named(make: Any, name: str, words: str) -> None:
    assert words in complaint(config, **make(name))


@pytest.mark.parametrize(
    "changes",
    [
        {"flag": {"collection": "users"}},
        {"flag": {"collection": "people"}, "users": {"collection": "people"}},
        {"users": {"collection": "feature_flags"}},
        {"sources": [{**TASKS, "collection": "feature_flags"}]},
    ],
)
def test_the_flag_lives_in_no_collection_that_is_only_read(changes: dict[str, Any]) -> None:
    assert "the flag cannot live in" in complaint(config, **changes)


@pytest.mark.parametrize("name", ["admin", "config", "local"])
def test_the_servers_own_databases_are_nobodys_app(name: str) -> None:
    assert "belongs to the server" in complaint(config, database={"name": name})
    assert "belongs to the server" in complaint(config, state={"database": name})


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("ns nanosecond nanoseconds", "ns"),
        ("us microseconds \N{MICRO SIGN}s \N{GREEK SMALL LETTER MU}s", "us"),
        ("ms millisecond milliseconds millis", "ms"),
        ("seconds second sec s", "seconds"),
        ("minutes minute min m", "minutes"),
        ("hours hour hr h", "hours"),
        ("days day d", "days"),
    ],
)
def test_a_unit_has_short_and_long_names(words: str, meant: str) -> None:
    for word in words.split():
        let = Let.model_validate({"path": "a", "unit": word, "to": word})
        assert (let.unit, let.to) == (meant, meant)


@pytest.mark.parametrize("word", ["milli", "Seconds", "M", "MS", "weeks", "months", "", 60, ["s"], "x" * 10**6])
def test_what_is_no_unit_is_answered_with_all_of_them_and_no_guess(word: Any) -> None:
    told = complaint(Let.model_validate, obj={"between": ["a", "b"], "to": word})
    assert "must be ns, us, ms, seconds, minutes, hours, days or another name of one" in told
    assert "did you mean" not in told


def test_what_a_rule_may_give_is_at_least_nothing_unless_the_config_says_otherwise() -> None:
    assert source(points="1 + 1").bounds == (0, 2**53)
    assert source(points="rules:score").bounds == (0, 2**53)
    assert source(points="1 + 1", points_range=[-5, 5]).bounds == (-5, 5)
    assert source(points=-5).bounds[0] < -5


def test_the_last_moment_of_an_action_is_two_days_ahead_unless_the_config_says_otherwise() -> None:
    now = dt.datetime(2025, 1, 1)
    assert config().backfill.latest(now) == dt.datetime(2025, 1, 3)
    assert config(backfill={"future_limit": "1h"}).backfill.latest(now) == dt.datetime(2025, 1, 1, 1)
    assert config(backfill={"future_limit": None}).backfill.latest(now) is None


def test_a_config_does_not_change_after_it_was_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        config().timezone = "Europe/Paris"


def test_a_day_begins_at_midnight_unless_another_time_is_said() -> None:
    assert config().day_begins == dt.timedelta(0)
    assert config(day_starts="04:30").day_begins == dt.timedelta(hours=4, minutes=30)


@pytest.mark.parametrize("odd", ["4:00", "24:00", "04:60", "04:00:00", "4h", "", "-04:00"])
def test_a_time_of_day_is_written_with_four_digits(odd: str) -> None:
    assert "day_starts" in complaint(config, day_starts=odd)


@pytest.mark.parametrize("odd", [240, 4, 4.5, True])
def test_what_yaml_makes_of_a_time_without_quotes_is_refused(odd: object) -> None:
    assert "a time of day in quotes" in complaint(config, day_starts=odd)


def test_whose_days_are_told_how_is_a_rule_and_its_absence_changes_no_digest_that_is_kept() -> None:
    kept = config_digest(config())
    assert config_digest(config(day_starts="00:00", users={"timezone": None})) == kept
    digests = {config_digest(each) for each in (
        config(day_starts="04:00"), config(users={"timezone": "tz"}), config(users={"timezone": "zone"}),
        config(timezone="Asia/Tokyo"), config(users={"timezone": "tz"}, day_starts="04:00"),
    )}  # fmt: skip
    assert len(digests | {kept}) == 6


def test_a_lookup_by_the_name_of_the_collection_is_told_what_stands_for_it() -> None:
    with pytest.raises(ValidationError, match=r"stands for the section `users`.* say users\.email"):
        UserRef.model_validate({"path": "owner_email", "lookup": "people.email"})
    assert UserRef.model_validate({"path": "owner_email", "lookup": "users.email"}).looked_up == "email"
    with pytest.raises(ValidationError, match=r"say users\.contact\.email"):
        UserRef.model_validate({"path": "owner_email", "lookup": "people.contact.email"})
    with pytest.raises(ValidationError, match=r"say users\.email"):
        UserRef.model_validate({"path": "owner_email", "lookup": "email"})


def test_a_lookup_with_strip_is_told_to_leave_that_out() -> None:
    with pytest.raises(ValidationError, match="leave out `strip`"):
        UserRef.model_validate({"path": "owner_email", "lookup": "users.email", "strip": "u$"})
