"""Text of others (ids, names, errors of libraries) as it may stand in a line of ours: it is one line, and only text."""

from __future__ import annotations

import re
import traceback
import unicodedata
from collections.abc import Iterator
from typing import Any

# Control sequences (colours, cursor moves) and strings (titles, links), as ECMA-48 and xterm write them.
ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)")


def plain(value: Any) -> str:
    """Any value as one line that does nothing to a terminal: no escapes or controls, nothing that hides or reorders."""
    text = ESCAPES.sub("", str(value))
    return text if text.isascii() and text.isprintable() else "".join(map(_harmless, text))


def _harmless(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Cs":  # half of a character, which no stream can encode
        return "\ufffd"
    return "" if category in ("Cc", "Cf") else character


def trace(error: BaseException) -> str:
    """The traceback of an error and of those that led to it, oldest first; what each says is one line."""
    return "".join(map(_traced, reversed(list(_led_to(error)))))


def _led_to(error: BaseException | None) -> Iterator[BaseException]:
    told: set[int] = set()
    while error is not None and id(error) not in told:
        told.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _traced(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    said = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    return "Traceback (most recent call last):\n" + frames + "".join(f"{plain(line)}\n" for line in said)
