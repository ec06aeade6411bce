"""A command that cannot be used as it was typed: what its hint says to type instead goes through."""

from __future__ import annotations

import pytest

from tests.apps import oid

pytestmark = pytest.mark.slow

YES = ("run", "--yes")


BEFORE = (  # there is a leaderboard
    "flag write on",
    "flag read on",
    f"forget {oid(1)} --yes",
    "reconcile",
    "recount",
    "verify",
    "verify --full --repair",
    f"explain {oid(1)}",
)


@pytest.mark.parametrize("words", BEFORE, ids=str)
def test_what_needs_a_leaderboard_goes_through_after_the_run_that_its_hint_names(app, terminal, words):
    refused = terminal(*words.split())
    code = 5 if words.startswith("verify") else 2  # who cuts over by its exit code must not
    assert (refused.code, "there is no leaderboard in app yet" in refused.err) == (code, True)
    assert refused.hint == "lbmigrate run"
    assert terminal("run").code == 0
    done = terminal(*words.split())
    assert done.code == 0, done.err


WRONG = [  # what is typed, what the hint says, what is typed then
    ("run --to 9", "lbmigrate plan", "run --to 6"),
    ("run --sample 1%", "add --dry-run, or leave it out", "run --sample 1% --dry-run"),
    ("run --dry-run --sample none", "write 1% or 0.01", "run --dry-run --sample 0.01"),
    ("run --engine memory", "add --dry-run --fixtures DIR, or leave it out", "run"),
    ("run --max-runtime soon", "write 60s, 5m or 2h", "run --max-runtime 5m"),
    ("run --between night", "write 01:00-05:00 or 22:00-04:00", "run --between 00:00-23:59:59.999999"),
    ("run --between 01:00-01:00", "write 01:00-05:00 or 22:00-04:00", "run --between 00:00-23:59:59.999999"),
    ("run --no-backup", "give one of them, as an option or a variable (LBMIGRATE_BACKUP_REF)", "run"),
    ("backfill --since never", "write 2025-05-01, 2025-05-01T02:00Z or 6mo", "backfill --since 6mo"),
    ("backfill --since 2025-02-01 --until 2025-01-01", "lbmigrate backfill --help", "backfill --help"),
    ("verify --sample 0 --top 0", "lbmigrate verify --full, or without either", "verify --full"),
    ("top --period 2031", "lbmigrate top --period global", "top --period global"),
    (f"rank {oid(9)}", "lbmigrate top --period global", "top --period global"),
    (f"forget {oid(9)} --yes", "lbmigrate top --json shows ids", "top --json"),
    ("backfill --user nobody", "lbmigrate top --json shows ids", "top --json"),
    ("unlock --nonsense", "lbmigrate unlock --help", "unlock --help"),
    ("--uri x plan", "options follow the verb, as in `lbmigrate plan --uri URI`", "plan --uri mongodb://other"),
    ("config init leaderboard.yaml", "lbmigrate config check --config leaderboard.yaml", "config check"),
    ("rollback --to 7 --yes", "lbmigrate rollback --help", "rollback --to 5 --yes"),
    ("rollback", "add --yes", "rollback --yes"),
]  # fmt: skip


@pytest.mark.slow
def test_what_the_hint_of_a_mistyped_command_says_goes_through(migrated, terminal):
    for words, said, then in WRONG:
        refused = terminal(*words.split())
        assert (refused.code, said in refused.hint) == (2, True), f"{words}: {refused.err}"
        done = terminal(*then.split())
        assert done.code == 0, f"{then}: {done.err}"


def test_the_ids_that_the_board_shows_are_what_rank_and_forget_take(migrated, terminal):
    shown = terminal("top", "--json").result["places"][0]["user"]
    assert terminal("rank", shown).code == 0
    assert terminal("forget", shown, "--yes").code == 0
    assert [place["user"] for place in terminal("top", "--json").result["places"]] != [shown]
    assert len(terminal("top", "--json").result["places"]) == 1


def test_there_is_nothing_to_pause_until_a_run_that_the_plan_names(app, terminal):
    refused = terminal("pause")
    assert (refused.code, refused.hint) == (2, "lbmigrate plan")
    planned = terminal("plan")
    assert (planned.code, planned.hint) == (3, "lbmigrate run")
    assert terminal("run").code == 0
    assert terminal("plan").code == 0
    assert terminal("pause").code == 0
    assert migrated_control(app)["paused"]
    assert terminal("resume").code == 0
    assert migrated_control(app)["paused"] is None


def migrated_control(app):
    return app["lbmigrate_state"].find_one({"_id": "control"})


def test_a_run_without_a_backup_is_refused_and_each_way_that_the_hint_names_ends_that(app, terminal, monkeypatch):
    monkeypatch.delenv("LBMIGRATE_BACKUP_REF")
    refused = terminal("run")
    assert refused.code == 6
    assert 'lbmigrate backup, or name yours: lbmigrate run --backup-ref "NAME", or go without' in refused.hint
    assert terminal("run", "--to", "1", "--no-backup").code == 0
    assert terminal("run", "--to", "2", "--backup-ref", "the one of yesterday").code == 0
    app["lbmigrate_state"].drop()
    app["score_events"].drop()
    app["leaderboard_entries"].drop()
    assert terminal("run").code == 6
    assert terminal("backup").code == 0
    assert terminal("run").code == 0


@pytest.mark.parametrize(
    ("words", "typed", "hint"),
    [
        ("rollback", "another", "lbmigrate rollback --dry-run"),
        ("forget", "another", "lbmigrate rank USER"),
        ("backup restore", "another", "lbmigrate status"),
        ("unlock", "n", "lbmigrate status"),
        ("run", "n", "lbmigrate run --to 5"),
    ],
)
def test_what_is_not_agreed_to_is_not_done_and_is_when_it_is(
    migrated, terminal, monkeypatch, words, typed, hint, confirmed
):
    given = {"forget": [str(oid(1))], "backup restore": ["kept", "--database", "other"]}.get(words, [])
    if words == "backup restore":
        assert terminal("backup", "--out", "kept").code == 0
    if words == "unlock":
        migrated["lbmigrate_state"].update_one({"_id": "lock"}, {"$set": HELD})
    if words == "run":
        assert terminal("flag", "read", "off").code == 0
    answers = {"rollback": "app", "forget": str(oid(1)), "backup restore": "other", "unlock": "y", "run": "y"}
    confirmed(typed)
    refused = terminal(*words.split(), *given)
    assert (refused.code, refused.hint) == (6, hint)
    looked = [part.replace("USER", str(oid(1))) for part in hint.split()[1:]]
    assert terminal(*looked).code == 0
    confirmed(answers[words])
    done = terminal(*words.split(), *given)
    assert done.code == 0, done.err


HELD = {"holder": {"host": "another", "pid": 1, "started": 0.0, "command": "lbmigrate run"}, "run": "another"}


@pytest.fixture
def confirmed(monkeypatch):
    """A terminal to ask on, and what is typed there."""
    import typer

    from lbmigrate.cli import confirm

    monkeypatch.setattr(confirm, "is_possible", lambda: True)

    def answer(words):
        monkeypatch.setattr(typer, "prompt", lambda *_, **__: words)
        monkeypatch.setattr(typer, "confirm", lambda *_, **__: words == "y")

    return answer
