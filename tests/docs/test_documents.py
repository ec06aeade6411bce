"""What README, runbooks and the other pages say is tried: every command runs, every line shown really comes."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bson import ObjectId, json_util

from lbmigrate import schema
from lbmigrate.migration.pace import Line

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("runbooks/*.md"))]
DOCUMENTS = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")), *PAGES]

CUT = "[…]"  # where a document leaves lines out
NOT_RUN = {
    "export",
    "make",
    "mongoexport",
    "pip",
    "pipx",
    "python3",
    "uv",
}  # commands that need another machine than this
STAND_INS = {
    "make demo": "lbmigrate demo --users 60 --tasks 1500 --sessions 600",
    "lbmigrate tail": "lbmigrate tail --max-runtime 2s",
}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
QUICK = {
    "README.md"
}  # whose commands a quick run types, in memory; `make test-slow` those of every document on a server


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass
class Example:
    """One thing that a document does: a command with the status and the lines that it shows, or a piece of Python."""

    words: list[str] = field(default_factory=list)
    status: int = 0
    shown: list[str] = field(default_factory=list)
    code: str = ""


def blocks(text: str, *languages: str) -> Iterator[tuple[str, str]]:
    """Fenced blocks of these languages, in order: (language, content)."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if found[1] in languages:
            yield found[1], found[2]


def examples(text: str) -> Iterator[Example]:
    for language, content in blocks(text, "console", "python"):
        if language == "python":
            yield Example(code=content, shown=re.findall(r"^print\(.*\)  # (.+)$", content, re.MULTILINE))
        else:
            yield from session(content)


def session(content: str) -> Iterator[Example]:
    """The commands of a console block (`$ command  # exits 3`), each with the output shown below it."""
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        command, _, status = command.partition("# exits ")
        command = STAND_INS.get(command.strip(), command.strip())
        yield Example(shlex.split(command), int(status or 0), [line for line in shown if line.strip() not in ("", CUT)])


PLAIN = (
    (r"(mongodb|local):\S+", "SERVER"),
    (r"\b([0-9a-f]{64}|[0-9a-f]{24}|[0-9a-f]{8})\b", "ID"),
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME"),
    (r"[A-Z][a-z]+ [A-Z][a-z]+|\(no name\)", "NAME"),
    (r"\d[\d,.]*", "0"),
    ("━+", ""),
)


def plain(line: str) -> list[str]:
    """The words of a line, without what differs from one run to the next."""
    for pattern, word in PLAIN:
        line = re.sub(pattern, word, line)
    return line.split()


def occurs(shown: str, output: str) -> bool:
    """Whether some line of the output has the words of the one shown, in this order."""
    lines = [iter(plain(line)) for line in output.splitlines()]
    return any(all(word in line for word in plain(shown)) for line in lines)


# --- the scenes in which runbooks are tried ------------------------------------------------------------------------


def quiet(app):
    """Nothing else has happened: the migration is done, and the board is on."""


def unhurried(app):
    """An action may keep the app waiting for a minute: half a second is not enough on a machine that does much else."""
    with Path("config/leaderboard.yaml").open("a", encoding="utf-8") as file:
        file.write("live: {budget: 60}\n")


def minds_changed(app):
    """Of the tasks that were done, one was opened again, one was deleted, and one turns out to be from another day."""
    opened, deleted, moved = app["tasks"].find({"status": "done", "completedAt": {"$exists": True}}).limit(3)
    app["tasks"].update_one({"_id": opened["_id"]}, {"$set": {"status": "todo"}})
    app["tasks"].delete_one({"_id": deleted["_id"]})
    app["tasks"].update_one({"_id": moved["_id"]}, {"$set": {"completedAt": dt.datetime(2025, 10, 1)}})


def a_task_came_late(app):
    """A task that was done long ago has only now been handed in, with its old times and the id that the phone made."""
    for name, key in (("tasks", "updatedAt"), ("sessions", "endedAt")):
        app[name].create_index(key)
    done = app["tasks"].find_one({"status": "done", "completedAt": {"$exists": True}})
    old = dt.datetime(2025, 1, 7)
    made = ObjectId(f"{int(str(done['_id']), 16) + 1:024x}")  # beside the other's, and not behind all of them
    app["tasks"].insert_one({**done, "_id": made, "completedAt": old, "updatedAt": old})


def locked_and_paused(app):
    """A backfill on another host holds the lock, and somebody has paused all runs."""
    now = dt.datetime.now(dt.UTC)
    holder = {"host": "worker-2", "pid": 4242, "born": 0.0, "command": "lbmigrate backfill", "table": ""}
    lock = {"holder": holder, "expiresAt": now + dt.timedelta(minutes=1)}
    app["lbmigrate_state"].update_one({"_id": "lock"}, {"$set": lock})
    paused = {"kind": "control", "layout": 1, "fence": 0, "paused": {"by": "sam@office", "at": now}}
    app["lbmigrate_state"].update_one({"_id": "control"}, {"$set": paused}, upsert=True)


def a_run_goes_on(app):
    """A backfill of everything goes on on another host, and is at the tasks."""
    now = dt.datetime.now(dt.UTC)
    holder = {"host": "worker-2", "pid": 4242, "born": 0.0, "command": "lbmigrate backfill --full", "table": ""}
    lock = {"holder": holder, "expiresAt": now + dt.timedelta(minutes=1), "run": "0a1b2c3d"}
    app["lbmigrate_state"].update_one({"_id": "lock"}, {"$set": lock})
    line = Line("tasks", 0.0, done=80, total=200, worked=80, active=4.0).row()
    sums = {"documents": 80, "events": 0, "entries": 0, "rejects": 0, "active": 4.0, "held": {}}
    progress = {"at": now, "work": "4 backfill", **sums, "workers": 2, "perSecond": None, "lines": [line]}
    run = {"_id": "run:0a1b2c3d", "kind": "run", "layout": 1, "fence": 0, "verb": "backfill", "outcome": "running"}
    told = {"options": {"command": "lbmigrate backfill --full"}, "startedAt": now, "by": "sam@worker-2"}
    app["lbmigrate_state"].insert_one({**run, **told, "progress": progress})


def ids_are_of_the_wrong_type(app):
    """An import has written tasks whose users are texts."""
    now = dt.datetime.now(dt.UTC)
    for task in list(app["tasks"].find({"status": "done", "completedAt": {"$exists": True}}).limit(3)):
        app["tasks"].insert_one({**task, "_id": ObjectId(), "userId": str(task["userId"]), "updatedAt": now})


def rules_are_others(app):
    """Tasks are worth more, and days begin elsewhere."""
    file = Path("config/leaderboard.yaml")
    text = (
        file.read_text("utf-8").replace("points: 10", "points: 15").replace("timezone: UTC", "timezone: Europe/Berlin")
    )
    file.write_text(text, "utf-8")


def weeks_are_to_have_collections(app):
    """Nothing has happened yet, but the configuration says so."""
    file = Path("config/leaderboard.yaml")
    file.write_text(file.read_text("utf-8").replace("layout: single", "layout: partitioned"), "utf-8")


def an_old_counter(app):
    """The app kept a counter before, which has lost a little since; and a task that was counted is deleted."""
    known = {"$in": app["users"].distinct("_id")}
    event = app["score_events"].find_one({"actionType": "task_complete", "userId": known})
    app["tasks"].delete_one({"_id": event["sourceId"]})
    for entry in app["leaderboard_entries"].find({"period": "global"}):
        app["users"].update_one({"_id": entry["userId"]}, {"$set": {"points": entry["score"] // 100 * 100}})


SCENES = {
    "verify.md": an_old_counter,
    "support.md": quiet,
    "roll-back.md": quiet,
    "live.md": unhurried,
    "correct.md": minds_changed,
    "incident.md": locked_and_paused,
    "late.md": a_task_came_late,
    "partitions.md": weeks_are_to_have_collections,
    "redis.md": quiet,
    "python.md": quiet,
    "long-run.md": a_run_goes_on,
    "again.md": ids_are_of_the_wrong_type,
    "rules.md": rules_are_others,
    "restore.md": quiet,
    "upgrade.md": quiet,
}
NEEDS = {"redis.md": "valkey"}  # a fixture


# --- trying --------------------------------------------------------------------------------------------------------


def shows_something(document: Path) -> bool:
    return bool(list(blocks(document.read_text("utf-8"), "console", "python")))


walks = [pytest.param(path, "server", marks=pytest.mark.slow) for path in DOCUMENTS if shows_something(path)]
walks += [pytest.param(path, "memory") for path in DOCUMENTS if path.name in QUICK]


@pytest.mark.parametrize(("document", "stage"), walks, indirect=["stage"], ids=lambda part: getattr(part, "name", part))
def test_every_command_of_a_document_does_what_is_shown(document, app, run, capsys, request):
    if document.name in NEEDS:
        request.getfixturevalue(NEEDS[document.name])
    if document.name in SCENES:
        SCENES[document.name](request.getfixturevalue("migrated"))
    for example in examples(document.read_text("utf-8")):
        if example.code:
            exec(compile(example.code, str(document), "exec"), {})
            printed = capsys.readouterr().out.splitlines()
            assert printed, "the snippet shows nothing"
            assert example.shown in ([], printed)
        elif example.words[0] not in NOT_RUN:
            said = run(example.words)
            output = said.text.replace(app.name, "app")
            assert said.status == example.status, f"{example.words} exits {said.status}:\n{output}"
            for line in example.shown:
                assert occurs(line, output), f"{example.words} does not say {line!r}:\n{output}"


def shown_event():
    """The event that the runbook has an app insert, and the task that it tells of."""
    text = (ROOT / "runbooks" / "live.md").read_text("utf-8")
    [(_, content)] = blocks(text, "json")
    event = json_util.loads(content, json_options=json_util.JSONOptions(tz_aware=False))
    task = {
        "_id": event["sourceId"],
        "userId": event["userId"],
        "status": "done",
        "priority": event["meta"]["priority"],
    }
    return event, {**task, "completedAt": event["createdAt"], "updatedAt": event["createdAt"]}


in_memory_and_on_a_server = pytest.mark.parametrize(
    "stage", ["memory", pytest.param("server", marks=pytest.mark.slow)], indirect=True
)


@in_memory_and_on_a_server
def test_the_event_that_an_app_is_told_to_insert_is_the_one_that_a_backfill_makes(migrated, run):
    event, task = shown_event()
    migrated["tasks"].insert_one(task)
    assert run(["lbmigrate", "backfill"]).status == 0
    made = migrated[schema.EVENTS].find_one({"_id": event["_id"]})
    assert made == {**event, "meta": {**event["meta"], "origin": "backfill"}}


@in_memory_and_on_a_server
def test_the_event_that_an_app_is_told_to_insert_is_on_the_board_after_the_next_backfill(migrated, run):
    event, task = shown_event()
    entry = {"_id": f"global:{event['userId']}"}
    before = migrated[schema.ENTRIES].find_one(entry) or {"score": 0}
    migrated["tasks"].insert_one(task)
    migrated[schema.EVENTS].insert_one(event)
    assert run(["lbmigrate", "backfill"]).status == run(["lbmigrate", "verify", "--full"]).status == 0
    assert migrated[schema.ENTRIES].find_one(entry)["score"] == before["score"] + event["points"]
    assert migrated[schema.EVENTS].find_one({"_id": event["_id"]})["meta"]["origin"] == "live"


def test_what_is_not_run_is_no_command_of_ours():
    first = {example.words[0] for path in DOCUMENTS for example in examples(path.read_text("utf-8")) if example.words}
    assert first == {"lbmigrate", *NOT_RUN - {"make"}}


def test_the_demo_of_the_documents_is_the_one_that_make_runs():
    assert re.search(r"^demo:.*\n\t\$\(BIN\)/lbmigrate demo$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@every_document
def test_every_target_of_make_exists(document):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"^(?:    |\$ )make ([a-z]+)", document.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in a link, as the forge and the site make it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_links_lead_to_files_and_to_headings_of_them(document):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text("utf-8")):
        if not target.startswith("https://"):
            file = document.parent / target if target else document
            assert file.exists(), target
            assert not anchor or anchor in anchors(file.read_text("utf-8")), f"{target}#{anchor}"
