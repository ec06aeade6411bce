from __future__ import annotations

import pytest


@pytest.fixture
def twin(client, database):
    """The same app in another database, for those who do the same in another way."""
    other = client[f"{database.name}_twin"]
    yield other
    client.drop_database(other.name)
