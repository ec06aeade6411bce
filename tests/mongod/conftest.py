from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbmigrate.mongod import find_running


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server; whatever still runs on it afterwards is stopped."""
    yield tmp_path
    while server := find_running(tmp_path):
        server.process.kill()
        server.process.wait()
