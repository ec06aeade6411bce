"""The documentation as a site: `make docs`. Its pages are docs/, the runbooks, and the project's own papers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

project = "lbmigrate"
author = "lbmigrate contributors"
extensions = ["myst_parser"]
# The root of the pages is that of the repository, so that links between them are the same here and there.
root_doc = "docs/index"
include_patterns = ["docs/**.md", "runbooks/*.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "lbmigrate"
html_show_sphinx = False
html_copy_source = False

LINK = re.compile(r"\]\((?!https?://|#)([^)\s#]+)(#[^)\s]*)?\)")


def to_the_repository(text: str, page: Path) -> str:
    """Lead links to what is no page, such as a job or an example, to the repository."""

    def led(found: re.Match[str]) -> str:
        target = (page.parent / found[1]).resolve()
        is_page = target.suffix == ".md" and not target.is_relative_to(ROOT / "examples")
        return found[0] if is_page else f"]({REPOSITORY}/blob/main/{target.relative_to(ROOT)})"

    return LINK.sub(led, text)


def contents(index: str) -> str:
    """The tree of pages, for the side of the site: the headings of the index with the pages that it links to."""
    trees = []
    for heading, below in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", index, re.DOTALL | re.MULTILINE):
        pages = "\n".join(f"/{page}" for page in pages_of(below))
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n")
    return "\n".join(trees)


def pages_of(text: str) -> list[str]:
    """The pages that a part of the index links to, by their names from the root."""
    linked = [(ROOT / "docs" / target).resolve() for target, _ in LINK.findall(text)]
    return [str(path.relative_to(ROOT).with_suffix("")) for path in linked]


def _read(app: Any, name: str, source: list[str]) -> None:
    text = to_the_repository(source[0], ROOT / f"{name}.md")
    source[0] = f"{text}\n{contents(text)}" if name == root_doc else text


def setup(app: Any) -> None:
    """Register what is done with each page when it is read."""
    app.connect("source-read", _read)
