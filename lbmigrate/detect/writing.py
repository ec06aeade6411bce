"""A proposal as a commented configuration file, with the evidence beside each value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lbmigrate.detect.proposal import Proposal, SourceFound, Why
from lbmigrate.telling import secrets
from lbmigrate.telling.foreign import plain as harmless

LONGEST_EVIDENCE = 160
_plain = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*").fullmatch
_KEYWORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def as_yaml(proposal: Proposal) -> str:
    """The file's text. What somebody should look at is marked with `CHECK:`."""
    return "\n".join([*_head(proposal), *_users(proposal), *_sources(proposal), *_foot(proposal)]) + "\n"


def _head(proposal: Proposal) -> Iterator[str]:
    yield "# Proposed by `lbmigrate config init` from a look at the database. Each comment says what was seen;"
    yield "# lines with CHECK: are guesses. `lbmigrate doctor` and `lbmigrate run --dry-run` show what it comes to."
    yield "version: 1"
    yield ""
    yield "database:"
    yield from _server(str(proposal.database["uri"]))
    yield f"  name: {flow(proposal.database['name'])}"
    yield ""
    yield "timezone: UTC                   # CHECK: an IANA name; decides where days and weeks begin"
    yield "periods: [global, week]         # also day, month, year"
    yield ""


def _server(uri: str) -> Iterator[str]:
    """The server as the environment names it, else as it was looked at. A password never comes into the file."""
    if secrets.redact(uri) != uri or "$" in uri:
        yield "  uri: ${MONGODB_URI}           # with its password, so only in the environment"
    else:
        yield f"  uri: ${{MONGODB_URI:-{uri}}}"


def _users(proposal: Proposal) -> Iterator[str]:
    yield "users:"
    yield from _lines(proposal.users.values, proposal.users.why, "  ")
    if proposal.users.nameless:
        yield f"  # CHECK: {harmless(proposal.users.nameless)}"
    if not {"opt_out", "hidden"} & set(proposal.users.values):
        yield "  # No field by which users hide themselves was found. If there is one:"
        yield "  # opt_out: {path: settings.leaderboardOptOut, missing: false}"
        yield "  # hidden: [{path: settings.leaderboard, in: [private, friends]}]"
    yield ""


def _sources(proposal: Proposal) -> Iterator[str]:
    yield "sources:"
    for source in proposal.sources:
        yield from _source(source)
        yield ""


def _source(source: SourceFound) -> Iterator[str]:
    lines = list(_lines(source.values, source.why, "    "))
    first = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("#"))
    lines[first] = "  - " + lines[first].lstrip()
    yield from lines
    if source.missing_index:
        collection, field = harmless(source.values["collection"]), harmless(source.missing_index)
        yield f"    # No index begins with {field}: each incremental backfill reads all of {collection}."
        yield f"    # db.{collection}.createIndex({{{flow(field)}: 1}})"


def _lines(values: Mapping[str, Any], why: Mapping[str, Why], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if key in why:
            yield f"{indent}# {_said(why[key])}"
        yield f"{indent}{key}: {flow(value)}"


def _said(why: Why) -> str:
    told = harmless(why.evidence)
    cut = told if len(told) <= LONGEST_EVIDENCE else told[: LONGEST_EVIDENCE - 1] + "…"
    return cut if why.sure else f"CHECK: {cut}"


def _foot(proposal: Proposal) -> Iterator[str]:
    if proposal.left_out:
        yield "# Left out. If one of them holds actions, add it to `sources`:"
        for name, reason in proposal.left_out.items():
            yield f"#   {harmless(name)}: {reason}"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return value if _plain(value) and value.lower() not in _KEYWORDS else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Text in double quotes; `${` would be taken from the environment."""
    return '"' + "".join(map(_escaped, text)).replace("${", "$${") + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
