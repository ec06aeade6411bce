"""What somebody gets who has no clone: the wheel works in an empty folder, the source archive brings its tests."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def built(kind: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = directory.iterdir()
    return archive


def python(*words: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """This Python with its libraries, but with `path` in the place of the clone."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-P", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone_and_works_in_an_empty_folder(tmp_path):
    with zipfile.ZipFile(built("wheel", tmp_path / "dist")) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert all(re.match(r"lbmigrate/|lbmigrate-[^/]+\.dist-info/", name) for name in names)
    (tmp_path / "empty").mkdir()
    where = "import lbmigrate; print(lbmigrate.__file__)"
    assert str(tmp_path) in python("-c", where, path=tmp_path / "installed", cwd=tmp_path / "empty").stdout
    demo = python("-m", "lbmigrate", "demo", path=tmp_path / "installed", cwd=tmp_path / "empty")
    assert demo.returncode == 0, demo.stderr


@pytest.mark.slow
def test_the_source_archive_has_every_file_and_its_tests_run_in_it(tmp_path):
    with tarfile.open(built("sdist", tmp_path / "dist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("lbmigrate-*")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = {name for name in listed.stdout.splitlines() if not name.startswith(".ci/")}
        assert {name for name in names if not (unpacked / name).exists()} <= {".gitignore"}
    ran = python("-m", "pytest", "-q", "tests/unit/test_house.py", "tests/docs/test_ci.py", path=unpacked, cwd=unpacked)
    assert ran.returncode == 0, ran.stdout
    collected = python("-m", "pytest", "-q", "--co", "tests", path=unpacked, cwd=unpacked)
    assert collected.returncode == 0, collected.stdout


def test_links_of_the_readme_work_on_a_package_index():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    urls = PROJECT["project"]["urls"]
    metadata = {"version": "1.2.3", "urls": urls}
    hook.CustomMetadataHook(str(ROOT), {}).update(metadata)
    links = re.findall(r"\]\(([^)]+)\)", metadata["readme"]["text"])
    assert len(links) > 20
    assert all(link.startswith(f"{urls['Repository']}/blob/v1.2.3/") for link in links)
    assert all(url.startswith(urls["Repository"]) for url in urls.values())


def test_the_workflow_tests_every_version_that_the_package_names():
    named = [each.rpartition(" ")[2] for each in PROJECT["project"]["classifiers"] if ":: Python :: 3." in each]
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


def test_the_workflow_makes_targets_that_exist_and_those_of_the_check_before_a_merge():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    made = {step["run"].removeprefix("make ") for step in steps if step.get("run", "").startswith("make ")}
    assert made <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    merged = re.findall(r"^make (\S+)", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert set(merged) <= made


def test_the_workflow_takes_actions_by_commit_and_keeps_no_credentials():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps)
    assert all(step["with"]["persist-credentials"] is False for step in steps if "/checkout@" in step["uses"])
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_hooks_before_a_commit_check_what_make_lint_checks():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    programs = {hook["entry"].split()[0].rpartition("/")[2] for hook in hooks}
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    assert programs == set(re.findall(r"\$\(BIN\)/(\w+)", recipe[1]))
