"""Two users of one machine: what one keeps in `local:DIR` is nothing to the other. The tests need root to be both."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest

from lbmigrate.errors import UsageError
from lbmigrate.files import private
from lbmigrate.mongo import embedded, process
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import find_running

pytestmark = [
    pytest.mark.usefixtures("mongod"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users"),
]

# Each imports everything first: the interpreter may well be where another user cannot read.
OWNER = """
import encodings.idna, os, sys
from pathlib import Path
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
BECOME
with embedded.serve(Path(sys.argv[1])) as uri, open_client(uri) as client:
    client["app"]["notes"].insert_one({"text": "for nobody else"})
    print(uri, flush=True)
    sys.stdin.read()
"""
ATTEMPTS = """
import fcntl, os, socket, sys
BECOME
def attempt(what, call, *given):
    try:
        call(*given)
        print("done:", what, *given)
    except OSError:
        pass
for path in sys.argv[1:]:
    attempt("list", os.listdir, path)
    attempt("read", lambda path: open(path).close(), path)
    attempt("lock", lambda path: fcntl.flock(open(path), fcntl.LOCK_EX), path)
    attempt("write", lambda path: open(path, "a").close(), path)
    attempt("connect", lambda path: socket.socket(socket.AF_UNIX).connect(path), path)
    attempt("replace", lambda path: os.rename(path, path + "-") or os.rename(path + "-", path), path)
"""
# Says that it listens for somebody's data, notes whoever comes, and answers nothing.
STAND_IN = """
import os, socket, sys
BECOME
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    peer, _ = sock.accept()
    os.write(1, b"handed: " + peer.recv(1000))
"""


@pytest.fixture
def neighbour() -> pwd.struct_passwd:
    return pwd.getpwnam("daemon")


@pytest.fixture
def yard() -> Iterator[Path]:
    """A directory that everybody may enter; whatever still runs below it afterwards is stopped."""
    with tempfile.TemporaryDirectory(prefix="lbmigrate-yard-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
        for each in psutil.process_iter(["cmdline"]):
            if any(f"--dbpath={name}" in word for word in each.info["cmdline"] or ()):
                each.kill()


@contextmanager
def started(code: str, *arguments: str, who: Any = None, program: str = sys.executable) -> Iterator[Any]:
    """Another process, of another user if `who` says so, that ends when its input does or is killed with the block."""
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ["PATH"]}
    environment |= {"PYTHONHOME": sysconfig.get_config_var("prefix")} if program != sys.executable else {}
    become = f"os.setgroups([]); os.setgid({who.pw_gid}); os.setuid({who.pw_uid})" if who else ""
    command, pipe = [program, "-c", code.replace("BECOME", become), *arguments], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd="/") as other:
        try:
            yield other
        finally:
            other.kill()


def attempts(who: pwd.struct_passwd, *paths: Path) -> str:
    """What a user brings about who tries everything with these paths."""
    with started(ATTEMPTS, *map(str, paths), who=who) as other:
        return str(other.communicate()[0])


def socket_of(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("mongodb://").partition("/")[0]))


def notes(uri: str) -> int:
    with open_client(uri) as client:
        return client["app"]["notes"].count_documents({})


def given_to(path: Path, who: pwd.struct_passwd, mode: int = 0o700) -> Path:
    path.mkdir()
    path.chmod(mode)
    os.chown(path, who.pw_uid, who.pw_gid)
    return path


# --- reading, locking, standing in -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["short", "so long a name that its socket is elsewhere " * 3])
def test_another_user_can_neither_read_nor_connect_nor_lock_nor_replace_anything(
    yard: Path, neighbour: pwd.struct_passwd, name: str
) -> None:
    owner = pwd.getpwnam("nobody")
    home = given_to(yard / "of-nobody", owner, 0o755) / name
    with started(OWNER, str(home), who=owner) as serving:
        socket = socket_of(serving.stdout.readline().strip())
        assert stat.S_ISSOCK(socket.lstat().st_mode)
        everything = [home, *home.rglob("*"), socket, socket.parent]
        assert {path.lstat().st_uid for path in everything} == {owner.pw_uid}
        assert not [path for path in everything if path.lstat().st_mode & 0o077]
        (server,) = (
            each
            for each in psutil.process_iter(["cmdline"])
            if f"--dbpath={home / 'data'}" in (each.info["cmdline"] or ())
        )
        assert server.net_connections("inet") == []
        assert attempts(neighbour, *everything) == ""
        assert "done: connect" in attempts(owner, socket)  # the attempts are real ones
        serving.stdin.close()
        serving.wait()
    assert not server.is_running()


@pytest.mark.slow
def test_files_that_an_earlier_version_left_open_to_all_can_be_locked_by_nobody_else(
    home: Path, neighbour: pwd.struct_passwd
) -> None:
    for each in (home.parent, home, home / "data"):
        each.mkdir(exist_ok=True)
        each.chmod(0o755)
    for name in ("users.lock", "start.lock", "mongod.log"):
        (home / name).touch()
        (home / name).chmod(0o644)
    with embedded.serve(home):
        assert attempts(neighbour, *home.rglob("*")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("listen", [[], ["--port={port}"], ["--bind_ip={yard}/theirs.sock"]])
def test_a_process_of_another_user_with_the_right_command_line_is_handed_nothing(
    yard: Path, neighbour: pwd.struct_passwd, listen: list[str]
) -> None:
    # Even its program is called mongod; what it lacks is the user.
    program, port = shutil.copy(os.path.realpath(sys.executable), yard / "mongod"), process.free_port()
    said = [f"--dbpath={yard / 'home' / 'data'}", *(word.format(port=port, yard=yard) for word in listen)]
    with started(STAND_IN, str(port), *said, who=neighbour, program=str(program)) as other:
        assert other.stdout.readline() == "ready\n"
        assert psutil.Process(other.pid).exe() == str(program)
        with embedded.serve(yard / "home") as uri, open_client(uri) as client:
            client["app"]["notes"].insert_one({"text": "for nobody else"})
            assert find_running(yard / "home").process.username() == "root"
        with embedded.serve(yard / "home") as again:
            assert notes(again) == 1
        assert other.poll() is None
        other.kill()
        assert other.stdout.read() == ""


def test_a_process_that_has_only_borrowed_our_rights_is_handed_nothing(
    yard: Path, neighbour: pwd.struct_passwd
) -> None:
    program = shutil.copy(os.path.realpath(sys.executable), yard / "mongod")
    port, data = process.free_port(), yard / "home" / "data"
    said = [str(port), f"--dbpath={data}", f"--port={port}"]
    code = STAND_IN.replace("BECOME", f"os.setresuid({neighbour.pw_uid}, 0, 0)")  # as its set-user-ID bit would
    with started(code, *said, program=str(program)) as other:
        assert other.stdout.readline() == "ready\n"
        assert psutil.Process(other.pid).uids().effective == 0
        assert find_running(yard / "home") is None


def test_a_program_of_ours_that_is_no_mongod_is_not_taken_for_one(home: Path) -> None:
    port = process.free_port()
    with started(STAND_IN, str(port), f"--dbpath={home / 'data'}", f"--port={port}") as other:
        assert other.stdout.readline() == "ready\n"
        assert find_running(home) is None


# --- what is in the way -------------------------------------------------------------------------------------------


def refused(directory: Path, *words: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        embedded.serve(directory).__enter__()
    for word in words:
        assert word in caught.value.message
    return caught.value


def test_a_directory_of_another_user_is_refused_and_left_as_it_is(yard: Path, neighbour: pwd.struct_passwd) -> None:
    home = given_to(yard / "theirs", neighbour, 0o777)
    assert "of your own" in refused(home, str(home), "belongs to another user, daemon").hint
    assert list(home.iterdir()) == []
    assert stat.S_IMODE(home.stat().st_mode) == 0o777


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_a_directory_that_others_can_write_is_refused_until_the_hint_is_followed(yard: Path, mode: int) -> None:
    home = yard / "open"
    home.mkdir()
    home.chmod(mode)
    told = refused(home, str(home), "can be written by others")
    assert list(home.iterdir()) == []
    subprocess.run(["sh", "-c", told.hint.rpartition("then: ")[2]], check=True)
    with embedded.serve(home):
        assert stat.S_IMODE(home.stat().st_mode) & 0o777 == 0o700


@pytest.mark.slow
def test_a_link_that_another_user_made_is_not_followed(yard: Path, neighbour: pwd.struct_passwd) -> None:
    (yard / "private").mkdir(mode=0o700)
    (yard / "link").symlink_to(yard / "private")
    os.chown(yard / "link", neighbour.pw_uid, neighbour.pw_gid, follow_symlinks=False)
    for path in (yard / "link", yard / "link" / "below", yard / "link" / ".." / "private"):
        refused(path, f"{yard}/link belongs to another user, daemon")
    (yard / "ours").symlink_to(yard / "link")
    refused(yard / "ours", f"{yard}/link belongs to another user, daemon")
    assert list((yard / "private").iterdir()) == []
    (yard / "own").symlink_to(yard / "private")
    with embedded.serve(yard / "own"):
        assert (yard / "private" / "data").is_dir()


@pytest.mark.parametrize("name", ["data", "users.lock", "start.lock", "mongod.log"])
def test_a_link_in_the_place_of_a_file_of_ours_is_refused_and_what_it_leads_to_is_untouched(
    home: Path, name: str
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(mode=0o755) if name == "data" else elsewhere.write_text("as it was")
    elsewhere.chmod(0o755)
    before = elsewhere.stat()
    (home / name).symlink_to(elsewhere)
    assert f"rm {home / name}" in refused(home, str(home / name)).hint
    assert elsewhere.stat() == before


@pytest.mark.slow
def test_a_socket_is_not_made_where_others_could_put_another_in_its_place(
    yard: Path, neighbour: pwd.struct_passwd
) -> None:
    parents = [given_to(yard / "theirs", neighbour), yard / "open"]
    parents[1].mkdir()
    parents[1].chmod(0o777)
    for parent in parents:
        with embedded.serve(parent / "home") as uri:
            assert not socket_of(uri).is_relative_to(yard)
            assert attempts(neighbour, socket_of(uri), socket_of(uri).parent) == ""


def test_a_directory_that_another_user_made_in_the_place_of_our_sockets_is_refused_in_words(
    yard: Path, neighbour: pwd.struct_passwd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (yard / "tmp").mkdir()
    (yard / "tmp").chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(yard / "tmp"))
    home = yard / ("long" * 30)
    squatted = yard / "tmp" / embedded._far(home)
    given_to(squatted, neighbour, 0o777)
    refused(home, str(squatted), "belongs to another user, daemon")
    squatted.rmdir()
    squatted.symlink_to(given_to(yard / "theirs", neighbour))
    refused(home, str(squatted), "is no directory")


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_we_make_is_closed_whatever_the_umask_says(yard: Path) -> None:
    before = os.umask(0)
    try:
        with embedded.serve(yard / "a" / "b") as uri, open_client(uri) as client:
            client["app"]["notes"].insert_one({})
            everything = [yard / "a", *(yard / "a").rglob("*")]
    finally:
        os.umask(before)
    assert len(everything) > 10
    assert not [path for path in everything if path.exists() and path.lstat().st_mode & 0o077]


@pytest.mark.slow
def test_a_directory_that_holds_other_things_too_keeps_its_rights(yard: Path) -> None:
    (yard / "project").mkdir(mode=0o755)
    (yard / "project" / "README").touch()
    for _ in range(2):
        with embedded.serve(yard / "project"):
            pass
    assert stat.S_IMODE((yard / "project").stat().st_mode) == 0o755
    assert stat.S_IMODE((yard / "project" / "data").stat().st_mode) == 0o700


def test_the_group_that_a_user_has_alone_may_write(yard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (yard / "made").mkdir()
    (yard / "made").chmod(0o775)
    private.make_directory(yard / "made")
    os.chown(yard / "made", 0, pwd.getpwnam("daemon").pw_gid)
    with pytest.raises(private.Exposed, match="can be written by others"):
        private.make_directory(yard / "made")


def test_a_new_file_takes_the_place_of_a_link_and_nobody_has_it_open(yard: Path) -> None:
    (yard / "target").write_text("as it was")
    (yard / "new").symlink_to(yard / "target")
    with private.new_file(yard / "new") as file:
        file.write(b"new")
    assert (yard / "target").read_text() == "as it was"
    assert stat.S_IMODE((yard / "new").lstat().st_mode) == 0o600
