"""The jobs that keep a leaderboard current: their files are well formed, and their commands run."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

JOBS = Path(__file__).parents[2] / "jobs"
UNITS = sorted((JOBS / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]
WANTED = {"backfill", "verify", "recount", "reconcile", "boards"}
PAGES = {"report"}  # what writes a file, once a month
ALWAYS = {"tail"}  # what is started once, and restarted
HOME = "/var/lib/lbmigrate"


# --- cron ----------------------------------------------------------------------------------------------------------


def crontab() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The settings of the crontab, and its entries as (schedule, command)."""
    lines = [line for line in (JOBS / "crontab").read_text("utf-8").splitlines() if line and line[0] != "#"]
    settings = [line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line)]
    entries = [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z_]+=", line)]
    return dict(settings), [(" ".join(entry[:5]), entry[5]) for entry in entries]


@pytest.mark.slow
def test_cron_commands_run_in_the_shell_and_surroundings_that_cron_gives_them(migrated, scratch, server_uri):
    settings, entries = crontab()
    program = scratch / "bin" / "lbmigrate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lbmigrate "$@"\n')
    program.chmod(0o755)
    secrets = scratch / "secrets.env"
    secrets.write_text(f"export LBMIGRATE_URI={shlex.quote(server_uri)}\n")
    here = {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "SECRETS": str(secrets),
        "LBMIGRATE_CONFIG": str(scratch / "config" / "leaderboard.yaml"),
        "LBMIGRATE_DATABASE": migrated.name,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    for _, command in entries:
        done = subprocess.run([settings["SHELL"], "-c", command], env=settings | here, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
    assert [shlex.split(command)[4] for _, command in entries] == ["backfill", "verify", "recount"]


def test_cron_schedules_are_five_fields_and_commands_hold_no_bare_percent():
    for schedule, command in crontab()[1]:
        assert re.fullmatch(r"([\d*/,-]+ ){4}[\d*/,-]+", schedule)
        assert "%" not in command, "cron takes it for a line break"


# --- systemd -------------------------------------------------------------------------------------------------------


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # systemd tells Type from type
    parser.read_string(path.read_text("utf-8"))
    return parser


@pytest.mark.slow
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_runs_a_command_and_calls_a_held_lock_no_failure(path, migrated, run, monkeypatch, request):
    service = unit(path)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    if words[0] == "boards":
        request.getfixturevalue("valkey")
    if words[0] in ALWAYS:
        monkeypatch.setenv("LBMIGRATE_MAX_RUNTIME", "1s")
    assert Path(program).name == "lbmigrate"
    assert path.stem == f"lbmigrate-{'report' if '--report' in words else words[0]}"
    assert run(["lbmigrate", *(word.replace(HOME, ".") for word in words)]).status == 0
    assert service["SuccessExitStatus"].split() == ["4", "143"]


def test_every_service_has_a_timer_that_is_wanted_or_is_restarted():
    assert {path.stem for path in SERVICES} == {f"lbmigrate-{name}" for name in WANTED | PAGES | ALWAYS}
    for name in WANTED | PAGES:
        timer = unit(JOBS / "systemd" / f"lbmigrate-{name}.timer")
        assert timer["Timer"]["OnCalendar"]
        assert timer["Install"]["WantedBy"] == "timers.target"
    for name in ALWAYS:
        service = unit(JOBS / "systemd" / f"lbmigrate-{name}.service")
        assert service["Service"]["Restart"] == "always"
        assert service["Install"]["WantedBy"] == "multi-user.target"


HARDENED = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces": "yes", "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
}  # fmt: skip
MOST_EXPOSED = 3.0  # of 10, as systemd reckons it; it calls 4 and more medium


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_may_do_no_more_than_it_needs(path):
    service = unit(path)["Service"]
    assert {name: service.get(name) for name in HARDENED} == HARDENED
    assert "ReadWritePaths" not in service
    assert service.get("StateDirectory", "") == (
        "lbmigrate" if HOME in service["ExecStart"] else ""
    )  # all it writes to


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit_and_calls_a_service_little_exposed(path, tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on PATH")
    for each in UNITS:  # the program is elsewhere on this machine
        (tmp_path / each.name).write_text(
            each.read_text("utf-8").replace("/opt/lbmigrate/.venv/bin/lbmigrate", "/bin/true")
        )
    checked = subprocess.run(
        [program, "verify", str(tmp_path / path.name)], capture_output=True, text=True, check=False
    )
    told = [line for line in checked.stderr.splitlines() if path.name in line]
    assert told == []
    if path in SERVICES:
        limit = f"--threshold={MOST_EXPOSED * 10:.0f}"
        words = [program, "security", "--offline=yes", limit, "--no-pager", str(tmp_path / path.name)]
        judged = subprocess.run(words, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr


# --- Kubernetes ----------------------------------------------------------------------------------------------------


def cron_jobs() -> list[dict]:
    files = (JOBS / f"kubernetes{beside}.yaml" for beside in ("", "-boards", "-reconcile"))
    return [job for file in files for job in yaml.safe_load_all(file.read_text("utf-8"))]


def deployment() -> dict:
    return yaml.safe_load((JOBS / "kubernetes-tail.yaml").read_text("utf-8"))


def containers() -> Iterator[dict]:
    for job in (*(job["spec"]["jobTemplate"] for job in cron_jobs()), deployment()):
        yield from job["spec"]["template"]["spec"]["containers"]


@pytest.mark.slow
def test_containers_run_a_command_with_what_the_manifest_gives_them(
    migrated, scratch, server_uri, valkey, run, monkeypatch
):
    given = {"/config/leaderboard.yaml": str(scratch / "config" / "leaderboard.yaml")}
    secrets = {"uri": server_uri, "redis": valkey.url}
    for container in containers():
        for variable in container["env"]:
            secret = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
            monkeypatch.setenv(variable["name"], secrets[secret] if secret else given[variable["value"]])
        monkeypatch.delenv("MONGODB_URI", raising=False)
        if container["args"][0] in ALWAYS:
            monkeypatch.setenv("LBMIGRATE_MAX_RUNTIME", "1s")
        assert run([*container["command"], *container["args"]]).status == 0
    assert {container["args"][0] for container in containers()} == WANTED | ALWAYS


def test_the_uri_comes_from_a_secret_and_the_image_has_our_version():
    for container in containers():
        uri = next(variable for variable in container["env"] if variable["name"] == "LBMIGRATE_URI")
        assert uri["valueFrom"]["secretKeyRef"] == {"name": "lbmigrate", "key": "uri"}
        assert container["image"] == f"lbmigrate:{version('lbmigrate')}"


def test_a_cron_job_never_overlaps_itself():
    assert {job["kind"] for job in cron_jobs()} == {"CronJob"}
    assert {job["spec"]["concurrencyPolicy"] for job in cron_jobs()} == {"Forbid"}


def test_only_one_pod_follows_at_a_time():
    assert deployment()["kind"] == "Deployment"
    assert (deployment()["spec"]["replicas"], deployment()["spec"]["strategy"]["type"]) == (1, "Recreate")
