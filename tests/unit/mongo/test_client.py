"""What is shown of a URI, what errors mean, and when to try again. No server needed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote_plus

import mongomock_ng
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import errors

from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import open_client, retrying, server_time
from lbmigrate.mongo.concerns import durable, is_fake
from lbmigrate.telling.secrets import redact

SERVER = "mongodb://bob:hunter22@db.example:27017/app?replicaSet=rs0"
awkward = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
passwords = awkward.map(lambda middle: f"S3cr3t{middle}Pa55")
schemes = st.sampled_from(["mongodb://", "mongodb+srv://", "redis://", ""])


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)

    def now(self) -> float:
        return sum(self.naps)


def failing(*outcomes: Exception | str) -> Any:
    """A call that goes through its outcomes one by one: raises the exceptions, returns the rest."""
    left = iter(outcomes)

    def call() -> str:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


@given(schemes, passwords, st.sampled_from(["@h:27017/app", "@h1,h2/?replicaSet=r", "@[::1]/?appName=a@b"]))
def test_a_password_never_appears_however_it_is_escaped(scheme: str, password: str, rest: str) -> None:
    for written in (password, quote_plus(password)):
        shown = redact(f"{scheme}bob:{written}{rest}")
        assert "S3cr3t" not in shown
        assert "Pa55" not in shown


@given(passwords, st.sampled_from(["tlsCertificateKeyFilePassword", "proxyPassword", "authMechanismProperties"]))
def test_a_secret_option_never_appears(password: str, option: str) -> None:
    shown = redact(f"mongodb://h/?{option}={quote_plus(password)}&replicaSet=rs0")
    assert shown == f"mongodb://h/?{option}=***&replicaSet=rs0"


@given(schemes, passwords, st.booleans())
def test_no_error_quotes_a_password(scheme: str, password: str, escaped: bool) -> None:
    uri = f"{scheme}bob:{quote_plus(password) if escaped else password}@h/"
    for kind in (errors.InvalidURI, errors.ServerSelectionTimeoutError, errors.OperationFailure, errors.PyMongoError):
        told = faults.explain(kind(f"cannot use {uri} with {password}"), uri)
        assert password not in f"{told} {told.hint}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (SERVER, "mongodb://***@db.example:27017/app?replicaSet=rs0"),
        ("mongodb+srv://bob@cluster.example/", "mongodb+srv://***@cluster.example/"),
        ("mongodb://a.example,b.example:27018/?w=majority", "mongodb://a.example,b.example:27018/?w=majority"),
        ("redis://:hunter22@cache:6379/0", "redis://***@cache:6379/0"),
        ("mongodb://bob:hun/ter?22@h/", "mongodb://***"),
        ("local:some@where/.lbmigrate", "local:some@where/.lbmigrate"),
    ],
)
def test_a_redacted_uri_still_says_where_it_leads(uri: str, shown: str) -> None:
    assert redact(uri) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://",
        "mongodb://h:99999/",
        "mongodb://bob:hun/ter22@h",
        "mongodb://bob:hunt:er22@h",
        "http://h/",
        "mongodb://h/?directConnection=true&loadBalanced=true",
        "local:",
    ],
)
def test_a_uri_that_cannot_be_used_is_a_usage_error(uri: str) -> None:
    with pytest.raises(UsageError) as caught, open_client(uri):
        pass
    assert "hun" not in f"{caught.value}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("milliseconds", "reason"),
    # Within a millisecond the driver may or may not hear that the port is closed: both are sentences.
    [(2000, "Connection refused"), (1, "Connection refused|no answer before the time was over")],
)
def test_a_server_that_is_not_there_is_named_with_the_way_out(milliseconds: int, reason: str) -> None:
    uri = f"mongodb://bob:hunter22@127.0.0.1:1/?serverSelectionTimeoutMS={milliseconds}"
    with pytest.raises(LbmigrateError, match=rf"\*\*\*@127\.0\.0\.1:1.*cannot be reached: .*({reason})") as caught:
        open_client(uri).__enter__()
    assert caught.value.exit_code == 1
    assert "local:DIR" in caught.value.hint


def test_a_server_that_has_not_answered_yet_is_told_without_the_terms_of_the_driver() -> None:
    text = "No servers found yet, Timeout: 0.000792s, Topology Description: <TopologyDescription …>"
    told = faults.explain(errors.ServerSelectionTimeoutError(text), SERVER)
    assert str(told).endswith("cannot be reached: no answer before the time was over")


@pytest.mark.parametrize("text", [
    'No replica set members available for replica set name "rs0", Timeout: 30s, Topology Description: <x>',
    'No replica set members match selector "Primary()" for replica set name "rs0"',
])  # fmt: skip
def test_a_replica_set_that_is_not_there_is_told_with_the_option_that_names_it(text: str) -> None:
    told = faults.explain(errors.ServerSelectionTimeoutError(text), f"{SERVER}/?replicaSet=rs0")
    assert "leave replicaSet= out of the URI or correct it" in str(told.hint)
    assert "if the server is no replica set" in str(told.hint)


def bulk(*codes: int, late: int | None = None) -> errors.BulkWriteError:
    rows = [{"code": code, "errmsg": f"row {code}", "op": {"email": "bob@example.org"}} for code in codes]
    return errors.BulkWriteError(
        {"writeErrors": rows, "writeConcernErrors": [{"code": late, "errmsg": "waiting"}] if late else []}
    )


NOT_ALLOWED = 'not authorized on app to execute command { insert: "score_events", ordered: true, $db: "app" }'


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (errors.OperationFailure("Authentication failed.", 18), LbmigrateError, "user name or the password"),
        (errors.OperationFailure("bad auth : Authentication failed.", 8000), LbmigrateError, "or the password"),
        (errors.OperationFailure(NOT_ALLOWED, 13), Refused, 'on app to execute command { insert: "score_events" }'),
        (errors.ExecutionTimeout("operation exceeded time limit", 50), LbmigrateError, "took too long"),
        (errors.NotPrimaryError("not primary", {"code": 10107}), LbmigrateError, "is not the primary"),
        (errors.WriteError("User writes blocked", 371), Refused, "blocks writes"),
        (bulk(11000, 14031), LbmigrateError, "no disk space left"),
        (bulk(late=64), LbmigrateError, "did not get a write to a majority"),
        (errors.DocumentTooLarge("BSON document too large"), LbmigrateError, "no document this large"),
        (errors.AutoReconnect("connection closed"), LbmigrateError, "broke the connection: connection closed"),
        (errors.CursorNotFound("no cursor", 43), LbmigrateError, "failed: no cursor"),
        (errors.ConfigurationError("wire version"), UsageError, "cannot be used"),
    ],
)
def test_an_error_is_told_with_its_server_its_meaning_and_the_next_step(
    error: Exception, kind: type[LbmigrateError], words: str
) -> None:
    told = faults.explain(error, SERVER)
    assert type(told) is kind
    assert words in told.message
    assert "mongodb://***@db.example:27017" in told.message
    assert told.hint


def test_documents_and_topologies_stay_out_of_the_words() -> None:
    assert "bob@example.org" not in str(faults.explain(bulk(121), SERVER))
    lost = errors.ServerSelectionTimeoutError("h:1: refused, Timeout: 5s, Topology Description: <…>")
    assert str(faults.explain(lost, SERVER)).endswith("cannot be reached: h:1: refused")


def test_what_is_already_told_is_left_alone() -> None:
    told = UsageError("no")
    assert faults.explain(told, SERVER) is told


@pytest.mark.parametrize(
    "error",
    [
        errors.AutoReconnect("x"),
        errors.NetworkTimeout("x"),
        errors.NotPrimaryError("x"),
        errors.WTimeoutError("x", 64),
        errors.OperationFailure("x", 11602),
        errors.OperationFailure("x", 1, {"errorLabels": ["TransientTransactionError"]}),
        errors.CursorNotFound("x", 43),
        bulk(late=64),
    ],
)
def test_what_may_pass_is_transient(error: Exception) -> None:
    assert faults.is_transient(error)


@pytest.mark.parametrize(
    "error",
    [errors.DuplicateKeyError("x", 11000), bulk(11000, 121), errors.OperationFailure("x", 13), ValueError("x")],
)
def test_what_will_not_pass_is_not_transient(error: Exception) -> None:
    assert not faults.is_transient(error)


def test_a_call_is_repeated_until_it_succeeds_and_waits_longer_each_time() -> None:
    clock = Clock()
    call = failing(*[errors.AutoReconnect("gone")] * 4, "done")
    assert retrying(call, sleep=clock.sleep) == "done"
    assert len(clock.naps) == 4
    assert all(0.2 * 2**n <= nap <= 0.2 * 2**n + 0.2 for n, nap in enumerate(clock.naps))


def test_after_the_last_attempt_the_last_error_comes_out() -> None:
    first, last = errors.AutoReconnect("first"), errors.AutoReconnect("last")
    with pytest.raises(errors.AutoReconnect, match="last"):
        retrying(failing(first, last, "too late"), attempts=2, sleep=Clock().sleep)


@given(st.floats(min_value=0, max_value=120))
def test_no_attempt_begins_after_the_time_is_over(seconds: float) -> None:
    clock = Clock()

    def call() -> NoReturn:
        assert clock.now() <= seconds
        raise errors.AutoReconnect("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenacity.time.monotonic", clock.now)
        with pytest.raises(errors.AutoReconnect):
            retrying(call, attempts=10_000, seconds=seconds, sleep=clock.sleep)


def test_an_error_that_will_not_pass_comes_out_at_once() -> None:
    clock = Clock()
    with pytest.raises(errors.DuplicateKeyError):
        retrying(failing(errors.DuplicateKeyError("twice"), "never"), sleep=clock.sleep)
    assert clock.naps == []


def test_the_fake_has_the_local_clock_and_is_durable_as_it_is() -> None:
    fake: Any = mongomock_ng.MongoClient()["app"]
    now = server_time(fake)
    assert now.tzinfo is None
    assert now.microsecond % 1000 == 0
    assert abs(now - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=1)
    assert is_fake(fake)
    assert durable(fake) is fake


def test_a_local_uri_names_a_directory_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match=str(file)), open_client(f"local:{file}"):
        pass
