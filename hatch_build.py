"""The README for package indexes: links that are relative in the repository lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")  # of Markdown, to a file beside this one


def absolute(text: str, repository: str, version: str) -> str:
    """The text with every link to a file of the repository leading to that file at the tag of this version."""
    return LINK.sub(rf"]({repository}/blob/v{version}/\1)", text)


class CustomMetadataHook(MetadataHookInterface):
    """Hands the README to what is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text("utf-8")
        made = absolute(text, metadata["urls"]["Repository"], metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": made}
