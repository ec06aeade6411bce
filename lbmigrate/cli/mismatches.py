"""Mismatches as a file: one JSON object a line, written as they are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lbmigrate.console.format import jsonable
from lbmigrate.errors import UsageError
from lbmigrate.migration.runner import Terms
from lbmigrate.records import Report


@contextmanager
def exported(path: Path | None, terms: Terms) -> Iterator[Terms]:
    """The same terms, and every mismatch goes to the file as well. Raises UsageError where it cannot be written."""
    if path is None:
        yield terms
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--export {path}: {error.strerror}", "name a file in a directory that is there") from error
    with file:

        def listen(report: Report) -> None:
            for mismatch in report.piece.found if report.piece else ():
                file.write(json.dumps(jsonable(mismatch.row()), allow_nan=False) + "\n")
            terms.listen(report)

        yield replace(terms, listen=listen)
