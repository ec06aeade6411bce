"""What a look concludes from single fields."""

from __future__ import annotations

import datetime as dt

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.config.users import Users
from lbmigrate.detect import completion, lengths, people, references, timing
from lbmigrate.detect.looked_at import LookedAt
from lbmigrate.detect.propose import propose
from lbmigrate.detect.words import DONE, SESSION, TASK, is_called, speaks_of, words_of
from lbmigrate.detect.writing import as_yaml, flow
from tests.apps import oid

DAY = dt.datetime(2025, 3, 1)


def looked_at(*rows, name="tasks"):
    return LookedAt(name, [{"_id": number, **row} for number, row in enumerate(rows)])


def hours(number):
    return DAY + dt.timedelta(hours=number)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("settings.leaderboardOptOut", {"settings", "leaderboard", "opt", "out"}),
        ("userID", {"user", "id"}),
        ("done_at", {"done", "at"}),
        ("HTTPStatus", {"http", "status"}),
        ("geändertAm", {"geandert", "am"}),
    ],
)
def test_the_words_of_a_name(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("word", "means_done"), [("done", True), ("已完成", True), ("incomplete", False), ("undone", False)], ids=ascii
)
def test_a_word_means_done_only_as_a_whole(word, means_done):
    assert speaks_of(word, DONE) is means_done


def test_a_collection_is_called_by_the_end_of_its_name_too():
    assert is_called("pomodorosessions", SESSION)
    assert is_called("userTasks", TASK)
    assert not is_called("taskforce", TASK)


def test_numbers_that_are_times_are_times_unless_their_name_says_that_they_are_lengths():
    now = int(DAY.timestamp() * 1000)
    look = looked_at(*({"startedAt": now + n, "durationNs": now + n, "count": n} for n in range(20)))
    assert [path for path, column in look.columns.items() if column.is_time] == ["startedAt"]
    assert look.columns["durationNs"].is_number


@pytest.mark.parametrize(
    ("unit", "seconds"), [("minutes", 60), ("seconds", 1), ("ms", 0.001), ("hours", 3600), ("ns", 1e-9)]
)
def test_the_unit_of_a_length_is_told_by_the_times_that_it_lies_between(unit, seconds):
    rows = [
        {"from": hours(n), "to": hours(n) + dt.timedelta(minutes=20 + n % 40), "x": (20 + n % 40) * 60 / seconds}
        for n in range(60)
    ]
    found = lengths.length(looked_at(*rows, name="sessions"), range(60))
    assert (found.path, found.unit, found.sure) == ("x", unit, True)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([15, 25, 50], "minutes"),
        ([900, 1500, 3000], "seconds"),
        ([900_000, 1_500_000], "ms"),
        ([0.25, 0.5, 2], "hours"),
    ],
    ids=str,
)
def test_the_unit_of_a_length_without_times_is_a_guess_by_its_size(values, unit):
    rows = [{"duration": values[n % len(values)]} for n in range(30)]
    found = lengths.length(looked_at(*rows, name="sessions"), range(30))
    assert (found.unit, found.sure) == (unit, False)


def test_what_is_undone_keeps_its_time_and_the_state_decides():
    rows = [{"isDone": n % 3 != 0, "completedAt": hours(n) if n % 3 or n % 2 else None} for n in range(60)]
    scope = completion.scope(looked_at(*rows))
    assert scope.where == {"isDone": True}
    assert len(scope.rows) == 40


def test_a_state_before_a_change_is_not_the_state():
    rows = [{"from": ["Done", "Doing"][n % 2], "to": ["Doing", "Done"][n % 2]} for n in range(40)]
    assert completion.scope(looked_at(*rows)).where == {"to": "Done"}


def test_true_beside_1_are_both_named_since_the_server_tells_them_apart():
    rows = [{"done": [True, 1, 0, False][n % 4]} for n in range(40)]
    assert completion.scope(looked_at(*rows)).where == {"done": {"$in": [True, 1]}}


def test_a_deadline_is_no_time_of_an_action():
    rows = [{"dueDate": hours(n), "doneAt": hours(n + 1)} for n in range(30)]
    look = looked_at(*rows)
    assert [each.path for each in timing.done_at(look, range(30), None, is_session=False)] == ["doneAt"]


@pytest.mark.parametrize(
    ("values", "coerce"),
    [([oid(1), oid(2)], None), ([oid(1), str(oid(2))], "objectId"), ([oid(1), oid(2), oid(9)], None)],
    ids=["as users have them", "some as text", "one of a deleted user"],
)
def test_ids_are_converted_only_where_users_have_them_in_another_type(values, coerce):
    look = looked_at(*({"userId": value} for value in values))
    (found,) = references.to(look, {oid(1), oid(2), oid(3)})
    assert (found.column.path, found.coerce) == ("userId", coerce)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(json_values)
def test_whatever_is_written_is_read_back(value):
    assert yaml.safe_load(flow(value).replace("$${", "${")) == value


def proposed(**fields):
    """What is proposed of users, of whom each has the next value of these fields."""
    rows = [
        {"_id": oid(number), **dict(zip(fields, each, strict=True))}
        for number, each in enumerate(zip(*fields.values(), strict=True), 1)
    ]
    return people.users(people.Candidate(looked_at(*rows, name="users"), "_id", 1.0, {}), {})[0].values


@pytest.mark.parametrize(
    "fields",
    [
        {"timeZone": ["Asia/Kathmandu", "Europe/Paris", None]},
        {"tz": ["+05:45", "-03:30", "+01:00"]},
        {"region": ["America/St_Johns", "Africa/Casablanca", "Pacific/Apia"]},
    ],
)
def test_a_time_zone_of_users_is_proposed_by_its_name_and_by_its_values(fields):
    assert proposed(**fields)["timezone"] == next(iter(fields))
    assert proposed(settings=[{"place": value} for value in ["Asia/Tokyo", "UTC", "Europe/Oslo"]])["timezone"] == (
        "settings.place"
    )


@pytest.mark.parametrize(
    "fields",
    [{"country": ["Japan", "Iran", "Cuba"]}, {"timezone": ["CEST?", "home", "x"]}, {"timezone": [60, -120, 345]}],
)
def test_countries_and_what_no_table_knows_are_no_time_zones(fields):
    assert "timezone" not in proposed(**fields)


def found_of(**fields):
    """What is proposed of users with these fields, as text of the file too."""
    rows = [dict(zip(fields, each, strict=True)) for each in zip(*fields.values(), strict=True)]
    look = LookedAt("users", [{"_id": oid(number), **row} for number, row in enumerate(rows, 1)])
    return people.users(people.Candidate(look, "_id", 1.0, {}), {})[0]


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        ({"leaderboard": ["private", "public", "public"]}, {"path": "leaderboard", "in": ["private"]}),
        ({"visibility": ["friends", "everyone", "everyone"]}, {"path": "visibility", "in": ["friends"]}),
        ({"visibility": ["hidden", "visible", "visible"]}, {"path": "visibility", "in": ["hidden"]}),
        ({"deactivated": [True, False, None]}, {"path": "deactivated", "equals": True}),
        ({"disabled": [0, 1, 0]}, {"path": "disabled", "equals": 1}),
        ({"archived": [False, False, True]}, {"path": "archived", "equals": True}),
        ({"isActive": [True, False, True]}, {"path": "isActive", "equals": False}),
        ({"inactive": [True, False, True]}, {"path": "inactive", "equals": True}),
        ({"status": ["active", "banned", "active"]}, {"path": "status", "in": ["banned"]}),
        ({"deletedAt": [hours(1), None, None]}, {"path": "deletedAt", "exists": True}),
    ],
    ids=str,
)
def test_words_and_flags_by_which_a_user_is_not_shown_are_proposed_to_be_checked(fields, condition):
    found = found_of(**fields)
    assert found.values["hidden"] == [condition]
    assert not found.why["hidden"].sure
    Users.model_validate({"hidden": found.values["hidden"]})


@pytest.mark.parametrize(
    "fields",
    [
        {"status": ["active", "new", "active"]},
        {"plan": ["private", "public", "public"]},
        {"emailVerified": [True, False, True]},
        {"interactive": [True, False, True]},
        {"hideMe": [True, False, True]},  # which is what opt_out says
    ],
    ids=str,
)
def test_what_says_nothing_of_being_shown_hides_nobody(fields):
    assert "hidden" not in found_of(**fields).values


def test_a_second_choice_of_users_hides_as_well():
    found = found_of(leaderboardOptOut=[True, False, False], hideProfile=[False, True, False])
    assert found.values["opt_out"]["path"] == "leaderboardOptOut"
    assert found.values["hidden"] == [{"path": "hideProfile", "equals": True}]


def test_where_no_name_to_show_is_found_the_fields_with_text_are_listed():
    found = found_of(email=["a@x.org", "b@x.org", "c@x.org"], code=["q1", "q2", "q3"], age=[1, 2, 3])
    assert "display_name" not in found.values
    assert found.nameless == "no display name was found: the board shows ids; fields of users with text: email, code"
    assert found_of(handle=["ada", "ben", "cem"]).nameless == ""


def kanban(owner="owner_email", share=1.0):
    """A database as a Kanban app writes it: cards name their owners by an address, in any case."""
    users = [
        {"_id": f"u{n}", "email": f"p{n}@x.org", "handle": f"nick{chr(97 + n % 26)}{chr(97 + n // 26)}"}
        for n in range(60)
    ]
    cards = [
        {
            "_id": oid(n),
            owner: f"P{n % 60}@X.org" if n % 10 < 10 * share else f"q{n}@y.org",
            "column": ["Done", "Doing"][n % 2],
            "movedAt": int(hours(n).timestamp() * 1000),
        }
        for n in range(1, 300)
    ]
    pomodoros = [{"_id": oid(n), "who": f"u{n % 60}", "began": hours(n), "ended": hours(n + 1)} for n in range(1, 200)]
    return [
        LookedAt(name, rows, len(rows))
        for name, rows in [("cards", cards), ("people", users), ("pomodoros", pomodoros)]
    ]


def proposal_of(looks):
    people_ = next(look for look in looks if look.name == "people")
    ids = {("people", key): {row[key] for row in people_.documents} for key in ("_id", "email", "handle")}
    return propose(looks, ids, {"uri": "local:x", "name": "app"})


def test_users_who_are_named_by_their_address_in_any_case_are_looked_up():
    found = proposal_of(kanban())
    cards = next(each for each in found.sources if each.name == "cards")
    assert cards.values["user"] == {"path": "owner_email", "lookup": "users.email"}
    assert (cards.values["where"], cards.values["at"]) == ({"column": "Done"}, ["movedAt"])
    assert "email" in cards.why["user"].evidence
    assert found.users.values["key"] == "_id"


def test_users_may_be_named_by_a_handle_too():
    looks = kanban()
    for number, card in enumerate(looks[0].documents):
        card["owner_email"] = looks[1].documents[number % 60]["handle"].upper()
    cards = next(each for each in proposal_of(looks).sources if each.name == "cards")
    assert cards.values["user"] == {"path": "owner_email", "lookup": "users.handle"}


def test_what_names_nobody_known_is_left_out_with_the_reason_and_its_fields():
    found = proposal_of(kanban(share=0.2))
    assert [each.name for each in found.sources] == ["pomodoros"]
    assert found.left_out["cards"] == (
        "no field of it has ids of users, or text that one field of the users has; "
        "it has 299 documents with owner_email, column, movedAt"
    )
    assert f"#   cards: {found.left_out['cards']}" in as_yaml(found)


def test_every_guess_is_marked_where_it_stands():
    lines = as_yaml(proposal_of(kanban())).splitlines()
    for key in ("where", "at", "points"):
        marked = [lines[place - 1] for place, line in enumerate(lines) if line.lstrip().startswith(f"{key}:")]
        assert marked, key
        assert all("# CHECK: " in line for line in marked), key
