from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate import testing
from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS, s5_verify
from lbmigrate.mongo import fake
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import REJECTS
from lbmigrate.testing import Proxy
from tests.apps import App, config, task, user
from tests.runs import until

LONG = 10.0  # seconds until a test that would hang fails instead
SHORT = 0.2


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client:
                try:
                    while data := client.recv(1000):
                        client.sendall(data)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=LONG)


def said_back(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(1000)


# --- the proxy ---------------------------------------------------------------------------------------------------


def test_a_proxy_that_nobody_touches_is_not_there(echo):
    with Proxy(echo) as proxy, connect(proxy) as one, connect(proxy) as two:
        assert said_back(one, b"a") == b"a"
        assert said_back(two, b"b") == b"b"
        assert proxy.uri == f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"


def test_a_cut_ends_what_is_open_and_what_is_new_until_it_is_healed(echo):
    with Proxy(echo) as proxy:
        with connect(proxy) as old:
            assert said_back(old, b"a") == b"a"
            proxy.cut()
            assert old.recv(1000) == b""
        with connect(proxy) as new:
            assert new.recv(1000) == b""
        proxy.heal()
        with connect(proxy) as later:
            assert said_back(later, b"b") == b"b"


def test_a_frozen_proxy_keeps_the_connection_and_the_data(echo):
    with Proxy(echo) as proxy, connect(proxy) as client:
        assert said_back(client, b"a") == b"a"
        proxy.freeze()
        client.sendall(b"b")
        client.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            client.recv(1000)
        client.settimeout(LONG)
        proxy.heal()
        assert client.recv(1000) == b"b"


def test_a_delayed_proxy_is_late_by_so_much_in_each_direction(echo, monkeypatch):
    with Proxy(echo) as proxy, connect(proxy) as client:
        waits = []
        monkeypatch.setattr(proxy._ended, "wait", waits.append)
        proxy.delay(3.0)
        assert said_back(client, b"a") == b"a"
        assert waits == [3.0, 3.0]


def test_a_proxy_to_nowhere_ends_its_connections():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Proxy(port) as proxy, connect(proxy) as client:
        assert client.recv(1000) == b""


def test_leaving_a_proxy_ends_everything_even_if_it_is_frozen_or_slow(echo):
    with Proxy(echo) as proxy:
        frozen = connect(proxy)
        proxy.freeze()
        proxy.delay(3600)
        frozen.sendall(b"a")
    with frozen, suppress(ConnectionResetError):
        assert frozen.recv(1000) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


# --- processes ---------------------------------------------------------------------------------------------------


def test_a_frozen_process_stands_still_until_it_is_thawed():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        seen = psutil.Process(process.pid)
        testing.freeze(process.pid)
        until(lambda: seen.status() == psutil.STATUS_STOPPED, "the process to stand still", LONG)
        testing.thaw(process.pid)
        until(lambda: seen.status() != psutil.STATUS_STOPPED, "the process to go on", LONG)
        process.communicate("\n", timeout=LONG)
    assert process.returncode == 0


# --- corruption --------------------------------------------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[App]:
    """A migrated app that verifies."""
    with fake.client() as client:
        app = App(client["app"], config())
        app.database["users"].insert_many([user(1), user(2)])
        app.database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(8)])
        app.apply()
        yield app


EVENT, ENTRY = f"task_complete:{task(3)['_id']}", f"global:{user(2)['_id']}"
CORRUPTIONS = {
    "change_score": lambda database: testing.change_score(database, ENTRY, by=-3),
    "change_points": lambda database: testing.change_points(database, EVENT),
    "drop_entry": lambda database: testing.drop_entry(database, ENTRY),
    "drop_event": lambda database: testing.drop_event(database, EVENT),
    "duplicate_event": lambda database: testing.duplicate_event(database, EVENT),
    "duplicate_entry": lambda database: testing.duplicate_entry(database, ENTRY, user(9)["_id"]),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_is_found_by_a_full_verification(app, name):
    look_at_all = VerifyOptions(full=True)
    app.apply([s5_verify], verify=look_at_all)
    CORRUPTIONS[name](app.database)
    with pytest.raises(Mismatch):
        app.apply([s5_verify], verify=look_at_all)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_with_nothing_to_damage_says_so(name):
    with fake.client() as client, pytest.raises(LookupError, match="has no"):
        CORRUPTIONS[name](client["app"])


def test_a_change_changes_by_just_so_much(app):
    before = app.entries()[ENTRY]["score"]
    testing.change_score(app.database, ENTRY, by=-3)
    testing.change_score(app.database, ENTRY)
    assert app.entries()[ENTRY]["score"] == before - 2


# --- messy documents ---------------------------------------------------------------------------------------------


def mess(seed: int, share: float = 0.5, **options: Any) -> list[dict[str, Any]]:
    return list(testing.messy((task(number) for number in range(40)), seed=seed, share=share, **options))


@given(seed=st.integers(0, 1_000))
def test_equal_seeds_make_an_equal_mess(seed):
    assert repr(mess(seed)) == repr(mess(seed))


@given(seed=st.integers(0, 1_000), share=st.floats(0, 1))
def test_a_messy_document_differs_in_one_field_at_most_and_never_in_a_spared_one(seed, share):
    for number, document in enumerate(mess(seed, share, spare=("_id", "userId"))):
        good = task(number)
        names = good.keys() | document.keys()
        changed = [name for name in names if repr(good.get(name)) != repr(document.get(name, testing.MISSING))]
        assert len(changed) <= 1
        assert not {"_id", "userId"} & set(changed)


def test_no_share_leaves_everything_and_a_full_one_nothing():
    assert mess(1, share=0) == [task(number) for number in range(40)]
    assert sum(repr(one) == repr(task(number)) for number, one in enumerate(mess(1, share=1))) == 0


@given(seed=st.integers(0, 50))
def test_every_document_of_a_messy_history_is_accounted_for(seed):
    with fake.client() as client:
        app = App(client["app"], config())
        app.database["users"].insert_many([user(1)])
        documents = mess(seed, spare=("_id", "userId", "status"))
        app.database["tasks"].insert_many(documents)
        app.apply(STEPS[:2])
        counts = app.backfill()
        assert counts.read == len(documents) == counts.emitted + counts.rejected
        kept = {row["sourceId"] for row in app.database[REJECTS].find()}
        assert kept | {event["sourceId"] for event in app.events()} == {document["_id"] for document in documents}
        assert all(isinstance(event["createdAt"], dt.datetime) for event in app.events())
