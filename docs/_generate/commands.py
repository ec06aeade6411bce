"""The reference of the command line: what each command's help says, with its options and their variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from docs._generate.tables import table
from lbmigrate.cli.app import VERBS, app

HEAD = """# Commands

Every command, generated from the help that `--help` prints. Results go to stdout, progress to stderr. Most options
have a variable that means the same; what the environment bounds, skips or agrees to stands in the output right below
the line with the server, and a variable `LBMIGRATE_…` that does not exist is refused. [Exit codes](exit-codes.md) are
a page of their own.
"""
SHARED = """## Options of every command
"""
COLUMNS = ("option", "variable", "means")


def page() -> str:
    """The text of the page."""
    every = dict(commands(typer.main.get_command(app)))
    shared = common(every.values())
    lines = [HEAD, *table(("command", "does"), contents(every)), SHARED]
    lines += table(COLUMNS, (row(each) for each in options(next(iter(every.values()))) if each.name in shared))
    for path, command in every.items():
        own = [row(each) for each in options(command) if each.name not in shared]
        lines += [f"## {' '.join(path)}", "", f"    {usage(path, command)}", "", *paragraphs(command)]
        lines += table(COLUMNS, own) if own else []
    return "\n".join(lines).rstrip() + "\n"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words: (("flag", "show"), …)."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def common(every: Any) -> set[str]:
    """The names of the options that all commands have."""
    return set.intersection(*({each.name for each in options(command)} for command in every))


def options(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "option"]


def contents(every: dict[tuple[str, ...], Any]) -> Iterator[list[str]]:
    for path, command in every.items():
        words = " ".join(path)
        yield [f"[{words}](#{words.replace(' ', '-')})", first_line(path, command)]


def first_line(path: tuple[str, ...], command: Any) -> str:
    return VERBS[path[0]][1] if len(path) == 1 else str(command.help).split("\n")[0]


def usage(path: tuple[str, ...], command: Any) -> str:
    given = [each for each in command.params if each.param_type_name == "argument"]
    words = [each.name.upper() if each.required else f"[{each.name.upper()}]" for each in given]
    return " ".join(["lbmigrate", *path, *words, "[OPTIONS]"])


def paragraphs(command: Any) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", str(command.help)):
        yield from (code(" ".join(paragraph.split())), "")
    for each in command.params:
        if each.param_type_name == "argument":
            yield from (f"`{each.name.upper()}`: {each.help}", "")


def code(text: str) -> str:
    """A sentence with options and patterns of file names marked as such: an asterisk would begin emphasis."""
    return re.sub(r"(?<![\w`-])(--[a-z][a-z-]*|\*\.[\w.\[\]]+)(?!`)", r"`\1`", text)


def row(option: Any) -> list[str]:
    told = re.search(r"\[env var: (LBMIGRATE_\w+)\]", option.help or "")
    variable = option.envvar or (told[1] if told else "")
    means = re.sub(r"\s*\[env var: LBMIGRATE_\w+\]", "", option.help or "")
    value = "" if option.is_flag else " N" if is_number(option) else " VALUE"
    names = ", ".join(f"`{name}`" for name in (*option.opts[1:], f"{option.opts[0]}{value}"))
    return [names, f"`{variable}`" if variable else "", f"{code(means)}{bounds(option)}"]


def is_number(option: Any) -> bool:
    return any(isinstance(value, int | float) for value in (option.min, option.max, option.default))


def bounds(option: Any) -> str:
    """From where to where a number may be, and what it is without the option."""
    ends = [f"{word} {end}" for word, end in (("from", option.min), ("to", option.max)) if end is not None]
    given = getattr(option.default, "value", option.default)
    parts = [" ".join(ends)] if ends else []
    parts += [f"by default {given}"] if given not in (None, False, "", ()) else []
    return f" ({'; '.join(parts)})" if parts else ""
