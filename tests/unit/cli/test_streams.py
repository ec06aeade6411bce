"""Commands whose output goes nowhere: a closed stream, a full disk, a reader who has gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
EXPECTED = [(">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0), ("2>/dev/full", 0), (">/dev/full", 1)]


def ended(words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """A command as the shell starts it, redirections and all."""
    here = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], "HOME": str(directory)}
    command = f"exec {sys.executable} -m lbmigrate {words}"
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=directory, env=here, capture_output=True, text=True, check=False
    )


@pytest.mark.sampled
@pytest.mark.parametrize(("where", "code"), EXPECTED, ids=[each for each, _ in EXPECTED])
def test_a_command_does_its_work_where_nobody_listens(tmp_path, where, code):
    """Only a result that cannot be written is a failure."""
    done = ended(f"config schema {where}", tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
def test_an_error_has_its_own_exit_code_where_it_cannot_be_told(tmp_path):
    for where in ("2>/dev/full", "2>&-", ">&- 2>&-", "2>/dev/full >/dev/full"):
        assert ended(f"status --config nowhere.yaml {where}", tmp_path).returncode == 2, where
