"""The variables of the environment: the list of them is complete, and what is none of ours is left alone."""

from __future__ import annotations

import pytest
import typer

from lbmigrate.cli import variables
from lbmigrate.cli.app import app as command_line
from lbmigrate.config.load import ENVIRONMENT
from lbmigrate.errors import UsageError


def commands(group):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield from commands(command) if hasattr(command, "list_commands") else [command]


OF_OPTIONS = {
    str(each.envvar) for command in commands(typer.main.get_command(command_line)) for each in command.params
} - {"None"}


def test_every_variable_of_an_option_is_known_by_what_it_does():
    kinds = (variables.SKIPPING, variables.LIMITING, variables.OTHER_OPTIONS)
    assert {variables.PREFIX + word for kind in kinds for word in kind} == OF_OPTIONS
    assert sum(map(len, kinds)) == len(OF_OPTIONS)


def test_every_variable_of_the_configuration_is_known():
    assert set(ENVIRONMENT.values()) <= variables.KNOWN


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LBMIGRATE_SKIP_BACKUP", "LBMIGRATE_NO_BACKUP"),
        ("LBMIGRATE_DATABSE", "LBMIGRATE_DATABASE"),
        ("LBMIGRATE_MAXDOCS", "LBMIGRATE_MAX_DOCS"),
        ("LBMIGRATE_CHUNKSIZE", "LBMIGRATE_CHUNK_SIZE"),
    ],
)
def test_an_unknown_one_is_refused_with_the_nearest(name, meant):
    with pytest.raises(UsageError, match=f"there is no variable {name}; did you mean ") as refused:
        variables.refuse_unknown({name: "1"})
    assert refused.value.hint == f"unset {name}"
    assert meant in variables.KNOWN


def test_all_unknown_ones_are_named_at_once():
    with pytest.raises(UsageError) as refused:
        variables.refuse_unknown({"LBMIGRATE_ZZ": "1", "LBMIGRATE_QQ": "1", "LBMIGRATE_URI": "x"})
    assert refused.value.hint == "unset LBMIGRATE_QQ LBMIGRATE_ZZ"
    assert len(refused.value.details) == 1


def test_what_kubernetes_sets_for_a_service_of_our_name_is_left_alone():
    """As in a pod beside the services `lbmigrate` and `lbmigrate-tail`."""
    words = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR")
    for service in ("LBMIGRATE", "LBMIGRATE_TAIL"):
        variables.refuse_unknown({f"{service}_{word}": "10.0.0.1" for word in words})


def test_an_empty_one_counts_as_not_set():
    variables.refuse_unknown({"LBMIGRATE_NOTHING": "", "PATH": "/bin"})
