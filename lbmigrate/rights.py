"""What the database user may do, by asking the server (`connectionStatus`), never by trying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lbmigrate.context import Context
from lbmigrate.doctor import Finding
from lbmigrate.models import Document
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION

READ = ("find", "listIndexes", "collStats")
WRITE = (
    "find", "insert", "update", "remove", "createCollection", "createIndex", "dropCollection", "dropIndex",
)  # fmt: skip


def findings(context: Context) -> Iterator[Finding]:
    """A line for what may be read and one for what may be written."""
    status = context.sources.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    if not status["authenticatedUsers"]:
        yield Finding("ok", "rights", "not logged in, and the server asks nobody to")
        return
    who = status["authenticatedUsers"][0]["user"]
    held = status["authenticatedUserPrivileges"]
    sources = [(context.sources.name, name) for name in context.config.collections]
    yield _judged(who, "read", held, sources, READ)
    target = context.target.name
    ours = [(target, name) for name in (EVENTS, ENTRIES, REJECTS, context.config.flag.collection)]
    yield _judged(who, "write", held, [*ours, (context.state.rows.database.name, COLLECTION)], WRITE)


def _judged(
    who: str, verb: str, held: list[Document], places: Iterable[tuple[str, str]], actions: Iterable[str]
) -> Finding:
    wanted = list(actions)
    missing = [
        f"{action} on {database}.{collection}"
        for database, collection in places
        for action in wanted
        if not _allows(held, database, collection, action)
    ]
    if not missing:
        return Finding("ok", "rights", f"{who} may {verb} everything that a run {verb}s")
    role = "read on the sources" if verb == "read" else "readWrite on the target"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return Finding("refusal", "rights", f"{who} may not {missing[0]}{more}", f"grant {role}: db.grantRolesToUser(…)")


def _allows(held: list[Document], database: str, collection: str, action: str) -> bool:
    return any(action in grant["actions"] and _covers(grant["resource"], database, collection) for grant in held)


def _covers(resource: dict[str, Any], database: str, collection: str) -> bool:
    """An empty name stands for all of them (https://www.mongodb.com/docs/manual/reference/resource-document/)."""
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    return resource["db"] in ("", database) and resource["collection"] in ("", collection)
