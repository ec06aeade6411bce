"""The checks of a replica set's members: who is behind, who is gone, what is left when one more goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymongo.errors import OperationFailure, PyMongoError

from lbmigrate.checks.finding import Finding
from lbmigrate.config.model import Config
from lbmigrate.config.pace import Throttle
from lbmigrate.mongo.client import without_effect
from lbmigrate.mongo.concerns import overruled
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.run.context import Context
from lbmigrate.run.members import Member, has_majority, members, survives
from lbmigrate.telling.secrets import LOCAL

GRANT = "give the user the role clusterMonitor; or, to do without it, throttle: {max_lag: null, max_queue: null}"
IGNORE = "name it in throttle.ignore_members if no run is to wait for it"
FRAGILE = (
    "with one member less no majority has what is written: every write of lbmigrate then waits and fails, and what the"
    " app records is left to the next backfill"
)


def findings(context: Context) -> Iterator[Finding]:
    """What of the URI is not used, and a line for each thing that is worth saying about a member or the set."""
    yield _concerns(context.config)
    yield from _odd_options(context.config.database.uri)
    settings = context.config.throttle
    try:
        found = members(context.sources, settings.ignore_members)
    except OperationFailure as error:
        if error.code == UNAUTHORIZED and (settings.max_lag is not None or settings.max_queue is not None):
            fact = "this user may not see replication lag and load, so a run gives way to neither"
            yield Finding("warning", "throttle", fact, GRANT)
        return
    except (
        PyMongoError,
        LookupError,
        ValueError,
    ):  # a right that is missing, a figure that is not given: then a run does not wait for any member either
        return
    for member in found:
        yield from _about(member, settings)
    yield from _strangers(found, settings)
    yield from _majority(found)


def _concerns(config: Config) -> Finding:
    uri = config.database.uri
    unused = [] if uri.startswith(LOCAL) else overruled(uri, config.backfill.read_preference)
    how = "majority, read from the primary with majority"
    if not unused:
        return Finding("ok", "write concern", how)
    fact = f"{how}, indexes and collections too; of the URI this is not used: {', '.join(unused)}"
    fix = "nothing to do; backfill.read_preference says where the app's documents are read"
    return Finding("warning", "write concern", fact, fix)


def _odd_options(uri: str) -> Iterator[Finding]:
    if names := without_effect(uri):
        told = ", ".join(dict.fromkeys(names))
        fact = f"the driver makes nothing of {told} in the URI: no such option, or no such value"
        yield Finding("warning", "uri", fact, "correct it in the URI, or take it out")


def _about(member: Member, settings: Throttle) -> Iterator[Finding]:
    start = f"start it, or take it out: rs.remove({member.name!r})"
    if member.ignored:
        yield Finding("ok", "member", f"{member.name}: no run waits for it, as throttle.ignore_members says")
    elif not member.ready and member.holds_data:
        yield Finding("warning", "member", f"{member.name} {_unready(member)}", f"{start}; {IGNORE}")
    elif not member.answers:
        yield Finding("warning", "member", f"{member.name}, an arbiter, cannot be reached", start)
    elif member.delay:
        fact = f"{member.name} stays {member.delay.total_seconds():.0f} s behind on purpose: no run waits for it"
        yield Finding("ok", "member", fact)
    elif settings.max_lag is not None and (told := member.objection(settings.max_lag)):
        fact = f"{told}: a run holds while that is more than throttle.max_lag, for as long as throttle.give_up says"
        yield Finding("warning", "member", fact, f"wait until it has caught up, or {IGNORE}")


def _unready(member: Member) -> str:
    state = f"is {member.state}" if member.answers else "cannot be reached"
    if member.counts:
        until = "for as long as throttle.give_up says" if member.answers else "for a minute"
        return f"{state}: a run may hold until it is back, {until}"
    return f"{state}: no run waits for it"


def _strangers(found: Sequence[Member], settings: Throttle) -> Iterator[Finding]:
    known = {member.name.lower() for member in found}
    for name in settings.ignore_members:
        if name.lower() not in known:
            there = ", ".join(member.name for member in found) or "none, for this is no replica set"
            fact = f"throttle.ignore_members names {name!r}, which is no member; there are {there}"
            yield Finding("warning", "member", fact, "write it as rs.conf() does: host:port")


def _majority(found: Sequence[Member]) -> Iterator[Finding]:
    if found and not has_majority(found):
        fact = "no majority has what is written at the moment: every write of lbmigrate waits and fails"
        yield Finding("warning", "majority", fact, "start the members that cannot be reached")
    elif len([each for each in found if each.votes]) > 1 and not survives(found):
        fix = "a third member that votes and holds data, in place of an arbiter if there is one"
        yield Finding("warning", "majority", FRAGILE, fix)
