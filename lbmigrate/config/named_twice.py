"""The database that a URI names beside the one that the configuration names: which of them is meant is not guessed.

A URI's `/NAME` means two things to a driver: the database to work on, and the one that keeps the user, unless
`authSource` says where that is. Of the server's own databases it can only be the second.
"""

from __future__ import annotations

from urllib.parse import unquote

from lbmigrate.config.model import Config
from lbmigrate.config.types import SERVERS_OWN
from lbmigrate.errors import Problem
from lbmigrate.telling.secrets import LOCAL, SHAPE


def problem(config: Config) -> Problem | None:
    """What is wrong where the URI names another database than `database.name`; None where nothing is."""
    uri, name = database_of(config.database.uri), config.database.name
    if not uri or uri in SERVERS_OWN or uri in (name, config.database.auth_source):
        return None
    if uri == config.state.database:
        rest = f"it is the one of `state.database`; leave /{uri} out of the URI"
    else:
        rest = f"if {uri} is meant, name it here; if it only keeps the user, say `database.auth_source: {uri}`"
    return Problem("database.name", f"is {name}, and the URI names the database {uri}: {rest}")


def database_of(uri: str) -> str:
    """The database that a URI names; empty where it names none, or its parts cannot be told apart."""
    shape = None if uri.startswith(LOCAL) else SHAPE.fullmatch(uri)
    path = (shape["path"] or "") if shape else ""
    return unquote(path.removeprefix("/")).partition(".")[0]
