"""What `--help` says of every verb."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from lbmigrate.cli.app import VERBS
from lbmigrate.cli.app import app as command_line
from lbmigrate.cli.main import status

NO_VARIABLE = {"--help", "--version"}


def verbs(group, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield (*path, name), command
        yield from verbs(command, (*path, name)) if hasattr(command, "list_commands") else ()


EVERY = dict(verbs(typer.main.get_command(command_line)))
every_verb = pytest.mark.parametrize("path", EVERY, ids=" ".join)


def options(path):
    return [each for each in EVERY[path].params if each.param_type_name == "option" and not NO_VARIABLE & {*each.opts}]


@pytest.fixture
def text(path, run):
    """The help of a verb, as one line."""
    said = run(["lbmigrate", *path, "--help"])
    assert said.status == 0
    return " ".join(said.text.split())


@every_verb
def test_every_verb_says_what_it_does_and_no_line_of_that_is_cut_short(path, text):
    about = (EVERY[path].help or "").split("\n")[0]
    assert about
    assert about in text
    assert "…" not in text
    assert not re.search(r"(?<!\])\.\.\.", text)


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_says_what_the_verb_says(verb):
    assert (EVERY[verb,].help or "").split("\n")[0] == VERBS[verb][1]


def test_no_line_of_the_list_of_verbs_is_cut_short(run):
    said = run(["lbmigrate", "--help"])
    assert "…" not in said.text.replace("${…}", "")
    assert "..." not in said.text.replace("[ARGS]...", "")
    assert all(about in " ".join(said.text.split()) for _, about in VERBS.values())


@every_verb
def test_every_option_and_argument_is_described(path):
    assert [each.opts for each in EVERY[path].params if not each.help] == []


@every_verb
def test_every_option_names_its_variable(path, text):
    for option in options(path):
        variable = re.search(r"LBMIGRATE_\w+", option.envvar or option.help or "")
        assert variable, option.opts
        assert f"[env var: {variable[0]}" in text, option.opts


@pytest.mark.parametrize("path", [(), *(path for path in EVERY if hasattr(EVERY[path], "list_commands"))], ids=" ".join)
def test_no_list_of_verbs_is_cut_short_or_wider_than_a_terminal(path, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = run(["lbmigrate", *path, "--help"])
    assert "..." not in said.text.replace("[ARGS]...", "")
    assert "…" not in said.text.replace("${…}", "")
    assert max(map(len, said.text.splitlines())) <= 80


@pytest.mark.parametrize("path", [path for path in EVERY if not hasattr(EVERY[path], "list_commands")], ids=" ".join)
def test_every_verb_has_examples_that_its_command_line_takes(path, text):
    _, title, *examples = EVERY[path].epilog.splitlines()
    assert title == "Examples:"
    for example in examples:
        assert example.strip() in text
        program, *words = shlex.split(example.partition(" > ")[0])
        begins = path if tuple(words[: len(path)]) == path else path[:1]  # a noun alone is one of its verbs
        assert (program, *words)[: len(begins) + 1] == ("lbmigrate", *begins)
        EVERY[path].make_context(path[-1], words[len(begins) :])


@pytest.mark.parametrize(
    ("typed", "offered"), [("lbmigrate ba", ["backfill", "backup"]), ("lbmigrate flag w", ["write"])]
)
def test_a_shell_completes_verbs(typed, offered, monkeypatch, capsys):
    monkeypatch.setenv("_LBMIGRATE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        status([])
    assert capsys.readouterr().out.split() == offered


def test_the_completion_of_a_shell_can_be_installed(run):
    assert "--install-completion" in run(["lbmigrate", "--help"]).text


def test_a_variable_means_the_same_for_every_verb():
    meanings = {}
    for path in EVERY:
        for option in options(path):
            if option.envvar:
                meanings.setdefault(option.envvar, set()).add(option.opts[0])
    assert {variable: names for variable, names in meanings.items() if len(names) > 1} == {}
