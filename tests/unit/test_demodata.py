from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate import demodata

END = dt.datetime(2025, 11, 4)
MADE_FROM = (END - dt.timedelta(demodata.DAYS), END)


def made(users=200, tasks=4000, sessions=4000, end=END, seed=7):
    return {name: list(each) for name, each in demodata.generate(users, tasks, sessions, end=end, seed=seed).items()}


@pytest.fixture(scope="module")
def history():
    return made()


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(0, 300), st.integers(0, 300), st.integers(0, 5))
def test_it_makes_exactly_what_was_asked_for(users, tasks, sessions, seed):
    made_up = made(users, tasks, sessions, seed=seed)
    assert {name: len(each) for name, each in made_up.items()} == {
        "users": users, "tasks": tasks, "sessions": sessions,
    }  # fmt: skip
    for each in made_up.values():
        assert len({document["_id"] for document in each}) == len(each)


def test_equal_arguments_make_equal_documents(history):
    assert made() == history


def test_collections_may_be_read_in_any_order(history):
    lazy = demodata.generate(200, 4000, 4000, end=END)
    mixed = list(itertools.zip_longest(lazy["sessions"], lazy["tasks"], lazy["users"]))
    assert [task for _, task, _ in mixed] == history["tasks"]
    assert [session for session, _, _ in mixed] == history["sessions"]


def test_another_seed_makes_other_documents(history):
    assert made(seed=8)["tasks"][0] != history["tasks"][0]


def test_documents_are_made_while_they_are_read():
    lazy = demodata.generate(5, 10**7, 10**7, end=END)
    assert next(lazy["tasks"])["status"] in {"todo", "doing", "done"}


def test_a_history_without_users_is_refused():
    with pytest.raises(ValueError, match="at least one user"):
        demodata.generate(0, 1, 1, end=END)


def test_everything_happens_in_the_period_in_the_order_of_time(history):
    tasks = [task.get("completedAt") for task in history["tasks"] if "completedAt" in task]
    sessions = [session["endedAt"] for session in history["sessions"]]
    for times in (tasks, sessions):
        assert times == sorted(times)
        assert MADE_FROM[0] <= times[0]
        assert times[-1] < END
    assert all(task["updatedAt"] < END for task in history["tasks"])


def test_the_end_is_a_midnight(history):
    assert made(end=END + dt.timedelta(hours=17)) == history


def test_nobody_acts_before_joining(history):
    joined = {user["_id"]: user["createdAt"] for user in history["users"]}
    for started, documents in (("createdAt", history["tasks"]), ("startedAt", history["sessions"])):
        assert all(joined.get(each["userId"], each[started]) <= each[started] for each in documents)


def test_a_task_is_created_then_done_then_perhaps_edited(history):
    for task in history["tasks"]:
        assert task["createdAt"] <= task.get("completedAt", task["updatedAt"]) <= task["updatedAt"]
        assert task["status"] == "done" or "completedAt" not in task


def test_times_are_whole_milliseconds_as_they_are_stored(history):
    for document in itertools.chain(*history.values()):
        assert all(value.microsecond % 1000 == 0 for value in document.values() if isinstance(value, dt.datetime))


def test_a_few_people_do_most_of_the_work(history):
    counts = sorted(Counter(task["userId"] for task in history["tasks"]).values(), reverse=True)
    assert sum(counts[:20]) > 0.4 * len(history["tasks"])


def test_about_seven_in_ten_tasks_are_done(history):
    assert 0.65 < sum(task["status"] == "done" for task in history["tasks"]) / len(history["tasks"]) < 0.75


def test_nights_are_quiet(history):
    hours = Counter(session["endedAt"].hour for session in history["sessions"])
    assert sum(hours[hour] for hour in (1, 2, 3)) < 0.4 * sum(hours[hour] for hour in (9, 10, 11))


def test_weekends_are_quieter_than_weekdays(history):
    days = Counter(session["endedAt"].weekday() for session in history["sessions"])
    assert (days[5] + days[6]) / 2 < 0.8 * sum(days[day] for day in range(5)) / 5


def test_some_people_have_streaks(history):
    active = defaultdict(set)
    for task in history["tasks"]:
        active[task["userId"]].add(task["updatedAt"].date())
    week = [dt.timedelta(day) for day in range(7)]
    assert any(all(first + day in days for day in week) for days in active.values() for first in days)


def test_the_messy_rows_are_there_and_few(history):
    known = {user["_id"] for user in history["users"]}
    messy = [
        (lambda user: "displayName" not in user, history["users"]),
        (lambda user: user.get("settings", {}).get("leaderboardOptOut"), history["users"]),
        (lambda task: task["status"] == "done" and "completedAt" not in task, history["tasks"]),
        (lambda task: task["userId"] not in known, history["tasks"]),
        (lambda session: "durationSec" not in session, history["sessions"]),
    ]
    for is_messy, documents in messy:
        assert 0 < sum(map(bool, map(is_messy, documents))) < 0.12 * len(documents)
