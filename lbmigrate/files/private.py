"""Directories and files of ours, closed to the other users of the machine (root alone cannot be kept out).

What is not as it must be raises Exposed, an OSError that says in words what is wrong and what to do about it.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DIRECTORY, FILE = 0o700, 0o600
OTHERS = 0o077  # every right of the group and of everybody
MOST_LINKS = 40  # as many as Linux follows


class Exposed(PermissionError):
    """A file or a directory that somebody else owns, can change, or has put there; `remedy` is what to do."""

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__(errno.EPERM, f"{path} {what}", str(path))
        self.remedy = remedy


def resolved(path: Path, links: int = MOST_LINKS) -> Path:
    """Make `path` absolute and follow its symbolic links, but none of a stranger, who could turn it elsewhere."""
    found = Path("/")
    for part in path.absolute().parts[1:]:
        if part == "..":
            found = found.parent
            continue
        found /= part
        if found.is_symlink():
            if links == 0:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            _refuse_stranger(found, found.lstat(), {0, os.geteuid()})
            found = resolved(found.parent / found.readlink(), links - 1)
    return found


def make_directory(path: Path) -> None:
    """Make `path`, and what is missing above it, for us alone. One that was there must be ours and ours only to write.

    `path` is as `resolved` returns it: a symbolic link in its place is refused.
    """
    made = [_make(each) for each in reversed((path, *path.parents))]
    if made[-1]:
        return  # some network file systems give it to another user at once
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Exposed(path, "is no directory", f"look at what it is, then: rm {path}")
    _refuse_stranger(path, found, {os.geteuid()})
    if _others_may_write(found):
        raise Exposed(path, "can be written by others", f"look for what is not yours in it, then: chmod go-w {path}")


def _make(directory: Path) -> bool:
    """Make one directory where there is nothing; whether that is so."""
    with suppress(FileExistsError):
        if not os.path.lexists(directory):
            directory.mkdir(DIRECTORY)
            return True
    return False


def tighten(directory: Path) -> None:
    """Close a directory of ours to everybody else, in case it was made with wider rights."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(number).st_mode & OTHERS:
            os.fchmod(number, DIRECTORY)
    finally:
        os.close(number)


def open_file(path: Path) -> BinaryIO:
    """Open a file of ours to read and write, made where it is missing, closed to others where it was not."""
    number = _open(path, os.O_RDWR | os.O_CREAT)
    file = os.fdopen(number, "r+b")
    try:
        found = os.fstat(number)
        _refuse_stranger(path, found, {os.geteuid()})
        if found.st_mode & OTHERS:
            os.fchmod(number, FILE)
    except BaseException:
        file.close()
        raise
    return file


def new_file(path: Path) -> BinaryIO:
    """Open a file to write that nobody else can have opened; whatever was in its place, a link perhaps, is removed."""
    path.unlink(missing_ok=True)
    return os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Exposed(path, "is a symbolic link, which is not followed", f"rm {path}") from error


def is_private(directory: Path) -> bool:
    """Tell whether it is a directory that we own and that nobody else may enter."""
    with suppress(OSError):
        found = directory.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS
    return False


def stays_in_place(path: Path) -> bool:
    """Tell whether nobody but us and root can put another thing in the place of `path` or of what is above it."""
    return all(_keeps_its_entries(each.lstat()) for each in path.parents)


def _keeps_its_entries(found: os.stat_result) -> bool:
    sticky = bool(found.st_mode & stat.S_ISVTX)
    return found.st_uid in {0, os.geteuid()} and (sticky or not _others_may_write(found))


def _others_may_write(found: os.stat_result) -> bool:
    by_the_group = bool(found.st_mode & stat.S_IWGRP) and not _is_a_group_of_one(found.st_gid)
    return by_the_group or bool(found.st_mode & stat.S_IWOTH)


def _is_a_group_of_one(number: int) -> bool:
    """Many systems give every user a group of the same name, and let it write by default."""
    with suppress(KeyError):
        us, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
        return (us.pw_gid, us.pw_name) == (number, group.gr_name) and {*group.gr_mem} <= {us.pw_name}
    return False


def _refuse_stranger(path: Path, found: os.stat_result, owners: set[int]) -> None:
    if found.st_uid not in owners:
        name = str(found.st_uid)
        with suppress(KeyError):
            name = pwd.getpwuid(found.st_uid).pw_name
        raise Exposed(path, f"belongs to another user, {name}", "name a directory of your own, or become that user")
