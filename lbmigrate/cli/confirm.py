"""Confirmations: what cannot be undone, or takes something from somebody, is asked for unless `--yes` is given."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from lbmigrate.errors import Refused, UsageError


def retype(verb: str, what: str, expected: str, hint: str) -> None:
    """Go on only when somebody types `expected` again. Raises Refused when it is not, UsageError without a terminal."""
    _need_terminal(verb)
    if typer.prompt(f"type {what} to go on", err=True) != expected:
        raise Refused(f"that is not {what}; nothing was changed", hint=hint)


def agree(verb: str, question: str, refusal: str, hint: str) -> None:
    """Go on only when somebody says yes. Raises Refused when nobody does, UsageError without a terminal."""
    _need_terminal(verb)
    if not typer.confirm(question, err=True):
        raise Refused(refusal, hint=hint)


def choose(question: str, options: Sequence[str]) -> str:
    """One of a few answers, the first unless another is typed."""
    answer = ""
    while answer not in options:
        answer = typer.prompt(f"{question} ({', '.join(options)})", default=options[0], err=True)
    return answer


def is_possible() -> bool:
    """Whether there is a terminal to ask on."""
    return sys.stdin is not None and sys.stdin.isatty()


def _need_terminal(verb: str) -> None:
    if not is_possible():
        raise UsageError(f"{verb} needs confirmation, and stdin is not a terminal", "add --yes")
