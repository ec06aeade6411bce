"""What doctor finds in the app's data: after what its fix says it is not found any more."""

from __future__ import annotations

import pytest

from tests.apps import SESSIONS, TASKS, USERS, oid, task, user

pytestmark = pytest.mark.slow


def found(terminal):
    """Every fact that is no ok, with its fix."""
    told = terminal("doctor", "--json").result["findings"]
    return {each["fact"]: each["fix"] for each in told if each["level"] != "ok"}


def fix_of(terminal, part):
    return next((fix for fact, fix in found(terminal).items() if part in fact), None)


def set_all(app, collection, **fields):
    app[collection].update_many({}, {"$set": fields})


def configured(**change):
    return lambda app, terminal: terminal.configure({**TASKS, **change})


def with_users(**change):
    return lambda app, terminal: terminal.configure(TASKS, users={**USERS, **change})


def right(app, terminal):
    terminal.configure(TASKS)


def done(command):
    """What `db.COLLECTION.createIndex({'FIELD': 1})` does."""
    collection, _, rest = command.removeprefix("db.").partition(".createIndex({")
    return lambda app, terminal: app[collection].create_index(rest.split("'")[1])


def again(app, terminal):
    app["users"].insert_many([user(1), user(2)])


CHECK = "correct the path or the collection: lbmigrate config show"
LEAVE = "correct the path, or leave it if it is yet to come"
SITUATIONS = {  # how it comes about, part of the fact, the fix, and what the fix says
    "a collection that is not there": (configured(collection="task"), "'task' does not exist", CHECK, right),
    "a filter that nothing meets": (
        configured(where={"status": "Done"}), "no document of tasks meets",
        "check the source's `where`: lbmigrate config show", right,
    ),
    "a path that nothing has": (configured(user="owner"), "in scope has owner", CHECK, right),
    "a path of meta": (configured(meta={"mood": "mood"}), "in scope has mood", LEAVE, right),
    "a path of users": (with_users(avatar="photo"), "has photo", LEAVE, with_users(avatar="name")),
    "no users": (
        lambda app, _: app["users"].drop(), "'users' does not exist", CHECK, again,
    ),
    "users that are empty": (
        lambda app, _: (app["users"].drop(), app.create_collection("users")), "users is empty", CHECK, again,
    ),
    "users under another key": (
        with_users(key="name"), "no user of tasks is found by users.name", CHECK, right
    ),
    "a key without an index": (
        with_users(key="number"), "users.number has no index", "db.users.createIndex({'number': 1})",
        done("db.users.createIndex({'number': 1})"),
    ),
    "users' change without an index": (
        with_users(updated="changed"), "users.changed has no index", "db.users.createIndex({'changed': 1})",
        done("db.users.createIndex({'changed': 1})"),
    ),
    "a cursor without an index": (
        right, "tasks.updatedAt has no index", "db.tasks.createIndex({'updatedAt': 1})",
        done("db.tasks.createIndex({'updatedAt': 1})"),
    ),
    "users who are looked up without an index": (
        configured(user={"path": "userId", "lookup": "users.number"}), "users.number has no index: for each chunk",
        "db.users.createIndex({'number': 1})",
        done("db.users.createIndex({'number': 1})"),
    ),
    "wishes that are not where they are said to be": (
        with_users(opt_out={"from": {"collection": "setting", "key": "user"}, "path": "value", "missing": False}),
        "'setting' does not exist", CHECK, right,
    ),
    "users without a name": (
        with_users(display_name=["nick"]), "looked at have no nick",
        "they are shown without a name; add a path to users.display_name", with_users(display_name=["nick", "name"]),
    ),
    "pictures in the place of addresses": (
        lambda app, _: set_all(app, "users", avatar="x" * 5000), "longer than", "keep the address of a picture there",
        lambda app, _: set_all(app, "users", avatar="https://host/picture"),
    ),
    "wishes that nobody has foreseen": (
        lambda app, _: set_all(app, "users", hidden="friends"), "says neither yes nor no",
        "say instead which values hide: users.hidden: [{path: hidden, in: [VALUE]}]",
        with_users(opt_out=None, hidden=[{"path": "hidden", "in": ["private"]}]),
    ),
    "users without a document": (
        lambda app, _: app["users"].delete_one({"_id": oid(2)}), "has no document in users",
        "say what is to become of them: users.missing: hide, anonymous or show", with_users(missing="hide"),
    ),
    "names that are no text": (
        lambda app, _: set_all(app, "users", name=7), "no text", "add another path to users.display_name",
        lambda app, terminal: (set_all(app, "users", nick="Ada"), terminal.configure(TASKS, users={**USERS,
        "display_name": ["nick"]})),
    ),
    "documents that cannot be scored": (
        lambda app, _: set_all(app, "tasks", completedAt="soon"), "100.0% would be rejected",
        "correct the mapping, or let them go: lbmigrate rejects", configured(at=["updatedAt"]),
    ),
    "ids of two types": (
        lambda app, terminal: (set_all(app, "sessions", userId=str(oid(1))), terminal.configure(TASKS, SESSIONS)),
        "user ids are of 2 types", "make them one with `user: {path: FIELD, as: string}` (or objectId)",
        lambda app, terminal: terminal.configure(
            TASKS, {**SESSIONS, "user": {"path": "userId", "as": "objectId"}}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("begin", "fact", "fix", "end"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_finding_is_gone_when_what_its_fix_says_is_done(app, terminal, begin, fact, fix, end):
    set_all(app, "users", number=1, changed=task(0)["updatedAt"])
    begin(app, terminal)
    said = fix_of(terminal, fact)
    assert said is not None, found(terminal)
    assert fix in said
    end(app, terminal)
    assert fix_of(terminal, fact) is None


@pytest.mark.parametrize("name", ["a collection that is not there", "a path that nothing has", "ids of two types"])
def test_what_doctor_refuses_a_run_refuses_with_the_same_fix_and_then_goes_through(app, terminal, name):
    begin, _, fix, end = SITUATIONS[name]
    begin(app, terminal)
    for verb in ("doctor", "run"):
        refused = terminal(verb)
        assert (refused.code, fix in refused.hint) == (6, True), refused.err
    planned = terminal("plan")
    assert (planned.code, fix in planned.hint) == (3, True), planned.err
    end(app, terminal)
    assert terminal("doctor").code == 0
    assert terminal("run").code == 0
    assert app["feature_flags"].find_one()["read"] is True


def test_few_among_many_are_found_by_the_index_that_the_fix_names(app, terminal):
    app["tasks"].insert_many([task(number, status="todo") for number in range(100, 2200)])
    app["tasks"].create_index("updatedAt")
    fix = fix_of(terminal, "meet its `where`, and no index has them")
    assert fix.startswith("db.tasks.createIndex({'status': 1})")
    app["tasks"].create_index("status")
    assert not [fact for fact in found(terminal) if "index" in fact]


def test_a_time_from_a_fallback_stays_approximate_and_the_events_say_so(app, terminal):
    app["tasks"].update_many({}, {"$unset": {"completedAt": ""}})
    terminal.configure({**TASKS, "at": ["completedAt", "updatedAt"]})
    assert "marked meta.approximate" in fix_of(terminal, "approximate time")
    assert terminal("run").code == 0
    assert app["score_events"].distinct("meta.approximate") == ["updatedAt"]


def test_a_source_that_is_renamed_meanwhile_is_corrected_where_the_plan_says(migrated, terminal):
    migrated["tasks"].rename("todo")
    for verb in ("backfill", "reconcile"):
        refused = terminal(verb)
        assert refused.code in (1, 6)
        assert refused.hint in ("lbmigrate plan", CHECK)
    planned = terminal("plan")
    assert CHECK in " ".join(planned.out.split())
    terminal.configure({**TASKS, "collection": "todo"})
    assert terminal("backfill").code == 0
    assert terminal("reconcile").code == 0
    assert terminal("verify", "--full").code == 0
