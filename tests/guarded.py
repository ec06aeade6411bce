"""A replica set of one that asks for passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import start_mongod
from tests.runs import replica_set


@contextmanager
def guarded_set(home: Path) -> Iterator[tuple[Any, str]]:
    """The set as its administrator, and its URI."""
    with replica_set(home, 1) as [node]:
        with open_client(node.uri) as first:
            first.admin.command("createUser", "root", pwd="root", roles=["root"])
        node.stop()
    key = home / "key"
    key.write_text("a2V5b2ZhdGVzdA==")
    key.chmod(0o600)
    extra = ["--auth", f"--keyFile={key}"]
    server = start_mongod(home / "node0", node.port, replica_set="tests", extra=extra)
    try:
        with open_client(as_user(server.uri, "root", "root")) as admin:
            yield admin, server.uri
    finally:
        server.stop()


def as_user(uri: str, name: str, password: str) -> str:
    return uri.replace("mongodb://", f"mongodb://{name}:{password}@") + "&authSource=admin"
