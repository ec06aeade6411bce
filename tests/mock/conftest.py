"""In memory nothing else writes while a verification looks at something again, so it need not wait."""

from __future__ import annotations

import pytest

from lbmigrate.verify import again


@pytest.fixture(autouse=True)
def looked_at_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "WAITS", (0.0, 0.0, 0.0))
