"""What is left out of URIs, command lines and messages, and that a command line can be typed again without it."""

from __future__ import annotations

import os
import shlex
import subprocess
from urllib.parse import quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lbmigrate.telling import secrets

MARK = "S3cr3t"
SERVER = f"mongodb://anna:{MARK}@db.example:27017/app?replicaSet=rs0"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
marked = st.tuples(texts, texts).map(lambda ends: f"{ends[0]}{MARK}{ends[1]}")


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://anna:{MARK}",  # no host: the password stands where a port would
        f"mongodb://anna:{MARK}:27017/app",
        f"mongodb:/anna:{MARK}@db/app",
        f"anna:{MARK}@db",
        f"mongodb://db/?password={MARK}",
        f"mongodb://db/?pass%77ord={MARK}&tls=true",
        f"mongodb://db/?{MARK}",
        f"mongodb://db/?tls=true;authMechanismProperties=AWS_SESSION_TOKEN:{MARK}",
        f"mongodb://db/app#{MARK}",
        f"redis://:{MARK}@cache/0",
        f"redis://cache/0?username=app&password={MARK}",
        f"unix://:{MARK}@/run/redis.sock",
        f"https://snapshots.example/1?X-Amz-Credential=a&X-Amz-Signature={MARK}",
    ],
)
def test_no_uri_is_so_odd_that_its_secret_shows(uri):
    assert MARK not in secrets.redact(uri)
    assert MARK not in secrets.command_line(["lbmigrate", "run", "--uri", uri], {})
    assert MARK not in secrets.redact_text(f"see {uri}, which failed") or "://" not in uri


FORMS = ("--uri {}", "--uri={}", "-d {}", "-d{}", "--backup-ref {}", "--backup-ref=taken {}", "{}")


@given(marked, st.sampled_from(FORMS))
def test_no_command_line_keeps_a_password_however_it_is_given(password, form):
    for written in (password, quote_plus(password)):
        option, _, value = form.format(f"mongodb://anna:{written}@db/").partition(" ")
        line = secrets.command_line(["lbmigrate", "run", option, *([value] if value else [])], {})
        assert MARK not in line
        assert MARK not in secrets.redact_command(shlex.join(["lbmigrate", "run", option, *([value] if value else [])]))
        assert secrets.redact_command(line) == line


@given(st.lists(texts, max_size=5))
def test_a_command_line_without_secrets_is_the_one_that_was_typed(words):
    assume(not any("://" in word or word.startswith(("--uri", "--user")) for word in words))
    assert shlex.split(secrets.command_line(["lbmigrate", *words], {})) == ["lbmigrate", *words]


def test_a_command_line_that_lost_its_server_takes_it_from_the_variable():
    line = secrets.command_line(["lbmigrate", "run", "--uri", SERVER, "--to", "4"], {})
    assert line == 'lbmigrate run --uri "$LBMIGRATE_URI" --to 4'
    shell = ["sh", "-c", line.replace("lbmigrate", "printf '%s\\n'", 1)]
    given = subprocess.run(
        shell, env={**os.environ, "LBMIGRATE_URI": SERVER}, capture_output=True, text=True, check=True
    )
    assert given.stdout.split() == ["run", "--uri", SERVER, "--to", "4"]


def test_a_variable_that_leads_to_another_server_is_not_named_in_its_place():
    line = secrets.command_line(["lbmigrate", "run", f"--uri={SERVER}"], {"LBMIGRATE_URI": "mongodb://other/"})
    assert line == "lbmigrate run --uri='mongodb://***@db.example:27017/app?replicaSet=rs0'"


def test_a_server_without_secrets_stays_as_it_was_typed():
    line = "lbmigrate run --uri 'mongodb://a,b:27018/?replicaSet=rs0' --since 6mo"
    assert secrets.command_line(shlex.split(line), {}) == line


@pytest.mark.parametrize("form", ["--user {}", "--user={}"])
def test_a_command_line_does_not_say_whose_actions_were_backfilled(form):
    words = form.format("anna@example.org").split()
    assert secrets.command_line(["lbmigrate", "backfill", *words, "--full"], {}) == shlex.join(
        ["lbmigrate", "backfill", *form.format("USER").split(), "--full"]
    )


@given(marked, st.integers(0, 10), st.sampled_from([str, repr, quote_plus]))
def test_a_message_has_no_part_of_a_value_whether_it_is_cut_or_escaped(value, cut, writing):
    message = secrets.without_value(f"must be fine, not {writing(value)[: len(MARK) + cut]!r}", value)
    assert all(MARK[at : at + 4] not in message for at in range(len(MARK) - 3))
    assert message.startswith("must be ") or MARK not in message


def test_what_a_process_knows_to_be_secret_is_in_nothing_that_it_says():
    secrets.know_nothing()
    secrets.remember("--backup-ref=at https://anna:p%40ss" + MARK + "@store/x", f"mongodb://bob:{MARK}#/@db/", "plain")
    for said in (f"p@ss{MARK}", f"anna:p%40ss{MARK}", f"bob:{MARK}#/@db/", f"{MARK}#/"):
        assert MARK not in secrets.hidden(f"the driver says {said!r}")
    assert secrets.hidden("the driver says plain db") == "the driver says plain db"
    secrets.know_nothing()


def test_a_word_of_megabytes_is_searched_as_fast_as_a_short_one_for_its_length():
    assert secrets.hidden("x" * 3_000_000) == "x" * 3_000_000


def test_of_a_uri_a_message_loses_what_is_secret_and_no_word_of_its_own():
    uri = "mongodb://anna:hunter22@db/data?directConnection=true&replicaSet=rs0"
    said = "no collection can be called 'hunter22'; name a database, and data"
    assert secrets.without_value(said, uri) == "no collection can be called '***'; name a database, and data"
    assert secrets.without_value("it ends in nter22", uri) == "it ends in ***"
