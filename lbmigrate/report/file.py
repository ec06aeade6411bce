"""The file of a report: for nobody else to read, never through a link, there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.files import private
from lbmigrate.report import html, markdown
from lbmigrate.report.blocks import Report

FORMS: dict[str, Callable[[Report], str]] = {".html": html.page, ".htm": html.page, ".md": markdown.text}


def check(path: Path) -> None:
    """Raise, before any work is done for it, where a report cannot be written to `path`.

    UsageError for a name that is of no form, or of a directory; Refused where others could put something in its place.
    """
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"--report {path} is of no form that is known", f"end it in {' or '.join(('.html', '.md'))}")
    if path.is_dir():
        raise UsageError(f"--report {path} is a directory", "name a file in it")
    with _writing(path):
        _home(path)


def write(report: Report, path: Path) -> None:
    """Write a report in the form that the name says. What was there is replaced: a link itself, not its target."""
    text = FORMS[path.suffix.lower()](report)
    with _writing(path):
        home = _home(path)
        part = home / f".{path.name}.part"
        try:
            with private.new_file(part) as file:
                file.write(text.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
            part.replace(home / path.name)
        finally:
            part.unlink(missing_ok=True)


def _home(path: Path) -> Path:
    """The directory of the file, made where it is missing. Raises Exposed where somebody could turn it elsewhere."""
    home = private.resolved(path.parent)
    if not home.exists():
        private.make_directory(home)
    if not private.stays_in_place(home / path.name):
        raise private.Exposed(home, "can be changed by others", "name a file in a directory of your own: --report FILE")
    return home


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except private.Exposed as error:
        raise Refused(str(error.strerror), error.remedy) from error
    except OSError as error:
        raise LbmigrateError(f"{path} cannot be written: {error.strerror}", "name another: --report FILE") from error
