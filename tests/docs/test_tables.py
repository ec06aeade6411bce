"""The tables and examples of the pages under docs/ have what the code has: fields, exit codes, commands, rights."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
import typer
import yaml

from lbmigrate import errors, schema
from lbmigrate.checks.privileges import ALIKE, VERBS, needed
from lbmigrate.cli.app import app as command_line
from lbmigrate.config.load import read_config, starter_config
from lbmigrate.config.model import Config, Source
from lbmigrate.config.users import OptOut, Users
from tests.apps import TASKS
from tests.docs.test_documents import DOCUMENTS, ROOT, blocks, every_document

DOCS = ROOT / "docs"


def text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the page's table whose first column has this heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|-.*\n((?:\|.*\n)+)", text(page), re.MULTILINE)
    assert table, heading
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in table[1].splitlines()]


def commands(group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[str]]:
    """Every verb of the command line with its options: {("flag", "show"): ["--uri", …]}."""
    found = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            found |= commands(command, (*path, name))
        else:
            found[*path, name] = [option for each in command.params for option in (*each.opts, *each.secondary_opts)]
    return found


COMMANDS = commands(typer.main.get_command(command_line))
ROOT_OPTIONS = {"--version", "--help", "--install-completion"}  # of the program itself
ALONE = {"backup": "make", "rejects": "groups"}  # groups that are verbs as well


def verb(words: list[str]) -> tuple[str, ...]:
    words = [words[0], ALONE[words[0]]] if len(words) == 1 and words[0] in ALONE else words
    return next((key for key in COMMANDS if tuple(words[: len(key)]) == key), tuple(words[:1]))


@every_document
def test_commands_named_in_the_text_exist_with_their_options(document):
    for code in re.findall(r"`(lbmigrate [^`]+)`", document.read_text("utf-8")):
        words = code.split()[1:]
        if words[0] in ROOT_OPTIONS:
            continue
        assert verb(words) in COMMANDS, words
        options = {word.strip("[]") for word in words if word.strip("[").startswith("-")}
        assert options <= {*COMMANDS[verb(words)], "--help"}, words


def test_the_page_of_exit_codes_has_every_one():
    listed = {int(code) for row in rows("reference/exit-codes.md", "exit code") for code in row[0].split(",")}
    raised = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    assert listed == {0, 129, 130, 143} | raised


def test_the_page_of_collections_names_every_field():
    table = {row[0].strip(" `"): " ".join(row) for row in rows("reference/collections.md", "collection")}
    assert {schema.EVENTS, schema.ENTRIES, schema.REJECTS, "lbmigrate_state", "feature_flags"} == table.keys()
    for collection, validator in schema.VALIDATORS.items():
        for name in validator["$jsonSchema"]["properties"]:
            assert f"`{name}`" in table[collection], f"{collection}.{name}"


def test_the_page_of_the_python_api_names_every_command_and_every_public_name():
    import lbmigrate
    from lbmigrate import commands as functions

    named = set(re.findall(r"`(\w+)`", text("reference/python.md")))
    assert {name for name in functions.__all__ if name != "Terms"} <= named
    assert set(lbmigrate.__all__) <= named


def test_the_types_of_every_public_name_are_checked_as_a_caller_sees_them():
    import lbmigrate

    checked = (ROOT / "tests" / "typing" / "api.py").read_text("utf-8")
    assert {name for name in lbmigrate.__all__ if not re.search(rf"\b{name}\b", checked)} == set()
    assert "tests/typing/api.py" in (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_configuration_of_the_how_to_is_valid_and_its_parts_can_be_written_into_one(scratch):
    whole, users, wish, zones, source = (content for _, content in blocks(text("howto/configure.md"), "yaml"))
    file = scratch / "leaderboard.yaml"
    file.write_text(whole, "utf-8")
    assert read_config(file).config.sources
    Users.model_validate(yaml.safe_load(users)["users"])
    OptOut.model_validate(yaml.safe_load(dedent(wish))["opt_out"])
    assert Config.model_validate({"sources": [TASKS], **yaml.safe_load(zones)}).users.timezone
    Source.model_validate({**TASKS, **yaml.safe_load(source)["sources"][0]})


RESTORES = {"backup restore"}  # which needs names of its own
DOING = sorted({*VERBS, *ALIKE} - RESTORES)


@pytest.mark.parametrize("verb", DOING)
def test_the_role_of_the_how_to_is_enough_for_every_command_but_a_restore(verb):
    [(_, code)] = blocks(text("howto/your-own-server.md"), "js")
    lines = re.findall(r'\{db: "app", collection: "(\w*)"\}, actions: \[(.*?)\]', code)
    granted = {("app", name): set(re.findall(r'"(\w+)"', actions)) for name, actions in lines}
    for place, actions in needed(verb, starter_config(), "app", "app").items():
        assert actions <= granted.get(place, set()), place


def test_every_page_is_one_of_the_contents():
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text("index.md"))}
    assert {page.resolve() for page in DOCUMENTS if page.parts[-2] in ("howto", "reference", "explanation")} <= linked
    assert {page.resolve() for page in DOCUMENTS if page.parts[-2] == "runbooks"} <= linked
