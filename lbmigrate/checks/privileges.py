"""Which privileges each verb needs, and no others: the refusal before a verb, `doctor` and the documents go by it.

A verb that makes another one's work (`demo`, `flag write on`) is listed under that one in ALIKE.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbmigrate.backup import PREFIX
from lbmigrate.config.model import Config
from lbmigrate.ledger.partitions import near_periods
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.schema.layout import PARTITIONED, partition
from lbmigrate.state import COLLECTION

Place = tuple[str, str]  # a database and a collection; an empty collection is all of them
Needs = dict[Place, frozenset[str]]

# Where something is done, in the words of the table below: `app` and `home` are the databases of the app and of the
# state, `passing` are the names under which a restore fills its collections.
LOOKING = {
    "app": "listCollections",
    "home": "listCollections",
    "sources": "find listIndexes",
    "events": "find listIndexes",
    "entries": "find listIndexes",
    "rejects": "find listIndexes",
    "flag": "find",
    "state": "find",
}
ON_RECORD = {"state": "insert update"}  # the lock, the run, and what steers it
_MADE = "find insert createCollection createIndex dropCollection"
_REPLACED = "find insert remove update"  # our document among flags of the app
_FILLING = {
    "events": "insert update",  # an update puts a tombstone on what an app inserts for somebody who has left
    "entries": "insert update",
    "rejects": "insert remove",  # what is scored by now is no reject any more
    "state": "insert update remove",
}
_BURYING = {"events": "insert update remove"}  # an event whose id names its user gets another
VERBS: dict[str, tuple[dict[str, str], ...]] = {
    "plan": (LOOKING,),
    "pause": (LOOKING, ON_RECORD),
    "backup": (LOOKING, {"flag": "listIndexes", "state": "listIndexes"}),
    "backup restore": (
        {"app": "listCollections", "home": "listCollections"},
        dict.fromkeys(("events", "entries", "rejects", "state", "passing"), _MADE),
        {"state": "update", "flag": _REPLACED},
    ),
    "flag": (LOOKING, ON_RECORD, {"flag": "insert update"}),
    "verify": (LOOKING, ON_RECORD),
    "backfill": (LOOKING, _FILLING),
    "tail": (LOOKING, _FILLING, {"app": "changeStream find"}),
    "reconcile": (LOOKING, _FILLING),
    "forget": (LOOKING, _FILLING, _BURYING, {"entries": "remove"}),
    "run": (
        LOOKING,
        _FILLING,
        dict.fromkeys(("events", "entries", "rejects"), "createCollection createIndex"),
        {"flag": "insert update"},
    ),
    "rollback": (
        LOOKING,
        {"state": "insert update remove", "flag": "insert update remove dropCollection"},
        dict.fromkeys(("events", "entries", "rejects"), "remove dropIndex dropCollection"),
    ),
}
ALIKE = {
    **dict.fromkeys(("doctor", "status", "history", "rejects", "top", "rank", "around", "run --dry-run"), "plan"),
    **dict.fromkeys(("boards status", "boards check"), "plan"),
    "rejects retry": "backfill",
    **dict.fromkeys(("resume", "tune", "unlock", "boards rebuild"), "pause"),
    "boards persist": "backfill",
    **dict.fromkeys(("flag write on", "flag write off", "flag read on", "flag read off"), "flag"),
    "demo": "run",
    **dict.fromkeys(("recount", "boards archive", "boards restore", "worker"), "backfill"),
}


def alike(verb: str) -> list[str]:
    """What else is typed that needs the same."""
    return [name for name, same in ALIKE.items() if same == verb]


def needed(verb: str, config: Config, app: str, home: str) -> Needs:
    """The actions that a verb does at each place, on the databases `app` and `home` (of the state)."""
    found: dict[Place, frozenset[str]] = {}
    for part in VERBS[ALIKE.get(verb, verb)]:
        for name, actions in part.items():
            for place in _places(name, config, app, home):
                found[place] = found.get(place, frozenset()) | frozenset(actions.split())
    found |= _of_partitions(verb, config, app, found.get((app, ENTRIES), frozenset()))
    # Events whose ids name their users: one that came too late for somebody who has left gets another id.
    of_users = any(source.unwind or source.collection == config.users.collection for source in config.sources)
    if of_users and _FILLING in VERBS[ALIKE.get(verb, verb)]:
        found[app, EVENTS] |= {"remove"}
    return found


def _of_partitions(verb: str, config: Config, app: str, actions: frozenset[str]) -> Needs:
    """With collections of single periods, those of the next days: they are made when they are needed.

    A server knows no right for all collections whose names begin alike; each is named, or the whole database.
    """
    if config.layout != PARTITIONED or not actions:
        return {}
    parts = VERBS[ALIKE.get(verb, verb)]
    making = frozenset({"createCollection", "createIndex"}) if _FILLING in parts else frozenset()
    moving = frozenset({"remove", "dropCollection"}) if verb in ("run", "boards archive") else frozenset()
    near = {(app, partition(period)): actions | making | moving for period in near_periods(config)}
    return near | ({(app, ENTRIES): actions | {"remove"}} if moving else {})


def restoring(collections: Iterable[Place], flag: Place, sources: bool) -> Needs:
    """The actions that bring these collections of a backup back: under a passing name first, then under their own.

    Of the collection `flag` it is one document, or with the app's `sources` perhaps all of it.
    """
    made = [place for place in collections if sources or place != flag]
    names = [(database, name) for database, own in made for name in (own, f"{PREFIX}{own}")]
    databases = {(database, ""): frozenset({"listCollections"}) for database, _ in names}
    needs = databases | dict.fromkeys(names, frozenset(_MADE.split()))
    return needs | {flag: needs.get(flag, frozenset()) | frozenset(_REPLACED.split())}


def role(name: str, verbs: Iterable[str], config: Config, app: str, home: str) -> Document:
    """The command `createRole` for whoever may do these verbs and nothing else."""
    found: dict[Place, frozenset[str]] = {}
    for verb in verbs:
        for place, actions in needed(verb, config, app, home).items():
            found[place] = found.get(place, frozenset()) | actions
    privileges = [
        {"resource": {"db": database, "collection": collection}, "actions": sorted(actions)}
        for (database, collection), actions in found.items()
    ]
    return {"createRole": name, "privileges": privileges, "roles": []}


def _places(name: str, config: Config, app: str, home: str) -> list[Place]:
    own = {"events": EVENTS, "entries": ENTRIES, "rejects": REJECTS, "flag": config.flag.collection}
    if name == "sources":
        return [(app, collection) for collection in config.collections]
    if name == "passing":
        made = [PREFIX + each for place, each in own.items() if place != "flag"]
        return [*((app, each) for each in made), (home, PREFIX + COLLECTION)]
    return {"app": [(app, "")], "home": [(home, "")], "state": [(home, COLLECTION)]}.get(name) or [(app, own[name])]
