"""A configuration for a database that nobody described: what a bounded look at it suggests. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from lbmigrate.config.named_twice import database_of
from lbmigrate.config.types import SERVERS_OWN
from lbmigrate.detect import looking
from lbmigrate.detect.proposal import Proposal
from lbmigrate.detect.propose import propose as proposed
from lbmigrate.errors import Refused
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import open_client
from lbmigrate.telling import secrets

USUAL = "app"


def propose(uri: str, database: str | None = None, answers: Mapping[str, str] = {}) -> Proposal:
    """The likeliest configuration for what is in a database, with the evidence for each value.

    Reads at most 400 documents of each of at most 100 collections, and looks up ids. `answers` are to the questions of
    an earlier proposal, by their keys. Without `database` it is the one that the URI names, else the only one that is
    there. Raises Refused where no users or no actions are found.
    """
    secrets.remember(uri)
    try:
        with open_client(uri) as client:
            name = database or _named(uri, client)
            looks = looking.look(client[name])
            return proposed(looks, looking.known(client[name], looks), {"uri": uri, "name": name}, answers)
    except PyMongoError as error:
        raise faults.explain(error, uri) from error


def _named(uri: str, client: MongoClient[Any]) -> str:
    """The app's database: what the URI names, else the only one that is not the server's own."""
    named = database_of(uri)
    if named and named not in SERVERS_OWN:
        return named
    there = [name for name in client.list_database_names() if name not in SERVERS_OWN]
    if len(there) == 1 or USUAL in there:
        return USUAL if USUAL in there else there[0]
    listed = ", ".join(there[:8]) or "none"
    raise Refused(f"which database is the app's? there is {listed}", "lbmigrate config init --database NAME")
