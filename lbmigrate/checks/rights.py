"""What the database user may do, by asking the server (`connectionStatus`), never by trying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lbmigrate.checks.finding import Finding
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION

READING = "rights to read"  # the subject of what decides whether anything else can be looked at
LOOKING = ("find", "listIndexes")
WRITING = ("insert", "update", "remove")
MAKING = (*WRITING, "createCollection", "createIndex", "dropCollection", "dropIndex")


def findings(context: Context) -> Iterator[Finding]:
    """A line for what may be read and one for what may be written; a single one where nobody has to log in."""
    status = context.sources.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    if not status["authenticatedUsers"]:
        yield Finding("ok", "rights", "not logged in, and the server asks nobody to")
        return
    who = status["authenticatedUsers"][0]["user"]
    held = status["authenticatedUserPrivileges"]
    app, target = context.sources.name, context.target.name
    flag, state = (target, context.config.flag.collection), (context.state.rows.database.name, COLLECTION)
    made = [(target, name) for name in (EVENTS, ENTRIES, REJECTS)]
    looked_at = [(app, name) for name in context.config.collections] + made
    looking = [(app, "", "listCollections"), *((*place, action) for place in looked_at for action in LOOKING)]
    yield _judged(who, "read", held, [*looking, (*flag, "find"), (*state, "find")])
    writing = [(*place, action) for place in (flag, state) for action in WRITING]
    making = [(*place, action) for place in made for action in MAKING]
    yield _judged(who, "write", held, [*making, *writing, (*flag, "dropCollection")])


def _judged(who: str, verb: str, held: list[Document], wanted: Iterable[tuple[str, str, str]]) -> Finding:
    missing = [
        f"{action} on {database}.{collection}".rstrip(".")
        for database, collection, action in wanted
        if not _allows(held, database, collection, action)
    ]
    if not missing:
        return Finding("ok", f"rights to {verb}", f"{who} may {verb} everything that a run {verb}s")
    role = "read on the app's database" if verb == "read" else "readWrite on the target"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    fact = f"{who} may not {missing[0]}{more}"
    return Finding("refusal", f"rights to {verb}", fact, f"grant {role}: db.grantRolesToUser(…)")


def _allows(held: list[Document], database: str, collection: str, action: str) -> bool:
    return any(action in grant["actions"] and _covers(grant["resource"], database, collection) for grant in held)


def _covers(resource: dict[str, Any], database: str, collection: str) -> bool:
    """An empty name stands for all of them (https://www.mongodb.com/docs/manual/reference/resource-document/)."""
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    return resource["db"] in ("", database) and resource.get("collection") in ("", collection)
