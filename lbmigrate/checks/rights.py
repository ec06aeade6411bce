"""What the database user may do, by asking the server (`connectionStatus`), never by trying."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from lbmigrate.checks import privileges
from lbmigrate.checks.finding import Finding, refuse
from lbmigrate.checks.privileges import Needs
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context

READING = "rights to read"  # the subject of what decides whether anything else can be looked at
WRITING = "rights to write"
ROLES = (
    "give the user the role for it: runbooks/rights.md has the createRole command; "
    "if the role exists: updateRole with the same privileges"
)


def findings(context: Context, verb: str = "run") -> Iterator[Finding]:
    """A line for what may be read and one for what `verb` writes; a single one where nobody has to log in."""
    who, held = _logged_in(context)
    if not who:
        yield Finding("ok", "rights", "not logged in: authentication is disabled")
        return
    looking, all_of_it = _needed(context, "plan"), _needed(context, verb)
    writing = {place: actions - looking.get(place, frozenset()) for place, actions in all_of_it.items()}
    yield _judged(READING, who, held, looking, "may read everything that a run reads")
    yield _judged(WRITING, who, held, writing, f"may write everything that {verb!r} writes")


def of_other_verbs(context: Context) -> Iterator[Finding]:
    """A warning that names all verbs that this user may not do: nobody should learn it at night."""
    who, held = _logged_in(context)
    lacking = [verb for verb in privileges.VERBS if who and _missing(held, _needed(context, verb))]
    if lacking:
        names = (name for verb in lacking for name in (verb, *privileges.alike(verb)))
        yield Finding("warning", "rights", f"{who} may not do: {', '.join(names)}", ROLES)


def check(context: Context, verb: str) -> None:
    """Raise Refused, naming the right, where the user may not do all that a verb does; before anything is written."""
    check_needs(context, _needed(context, verb), verb)


def check_needs(context: Context, needs: Needs, verb: str) -> None:
    """The same for a verb whose needs depend on what it is given."""
    who, held = _logged_in(context)
    if who:
        refuse([_judged(f"rights for {verb}", who, held, needs, "")])


def _logged_in(context: Context) -> tuple[str, list[Document]]:
    """The user's name and privileges; no name where nobody has to log in."""
    if is_fake(context.state.rows.database):
        return "", []
    ask = partial(context.state.rows.database.client.admin.command, "connectionStatus", showPrivileges=True)
    status = retrying(ask)["authInfo"]
    users = status["authenticatedUsers"]
    return (users[0]["user"], status["authenticatedUserPrivileges"]) if users else ("", [])


def _needed(context: Context, verb: str) -> Needs:
    return privileges.needed(verb, context.config, context.sources.name, context.state.rows.database.name)


def _judged(subject: str, who: str, held: list[Document], needs: Needs, fine: str) -> Finding:
    missing = _missing(held, needs)
    if not missing:
        return Finding("ok", subject, f"{who} {fine}")
    return Finding("refusal", subject, f"{who} may not {_first(missing)}", ROLES)


def _missing(held: list[Document], needs: Needs) -> list[str]:
    return [
        f"{action} on {database}.{collection}".rstrip(".")
        for (database, collection), actions in needs.items()
        for action in sorted(actions)
        if not _allows(held, database, collection, action)
    ]


def _first(missing: list[str]) -> str:
    return missing[0] + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")


def _allows(held: list[Document], database: str, collection: str, action: str) -> bool:
    return any(action in grant["actions"] and _covers(grant["resource"], database, collection) for grant in held)


def _covers(resource: dict[str, Any], database: str, collection: str) -> bool:
    """An empty name stands for all of them (https://www.mongodb.com/docs/manual/reference/resource-document/)."""
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    return resource["db"] in ("", database) and resource.get("collection") in ("", collection)
