"""The generated pages: the name of each, and the function that writes its text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs._generate import commands, configuration, scale

REFERENCE = Path(__file__).parents[1] / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "configuration.md": configuration.page,
    "../explanation/scale.md": scale.page,
}
