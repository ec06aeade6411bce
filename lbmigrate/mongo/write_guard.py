"""A watch on what is sent to a server, so that a run which must not write can prove that it did not."""

from __future__ import annotations

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from lbmigrate.errors import Refused

# Commands that change nothing; what is not listed counts as a write.
READS = frozenset({
    "abortTransaction", "aggregate", "authenticate", "buildInfo", "collStats", "commitTransaction",
    "connectionStatus", "count", "dbStats", "distinct", "endSessions", "explain", "find", "getMore", "getParameter",
    "hello", "hostInfo", "isMaster", "killCursors", "listCollections", "listDatabases", "listIndexes", "ping",
    "replSetGetConfig", "replSetGetStatus", "rolesInfo", "saslContinue", "saslStart", "serverStatus", "usersInfo",
})  # fmt: skip


class WriteWatch(CommandListener):
    """Notes every command that would change something, so that a run which must not write can prove it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Take note of a write; an aggregation writes when it has $out or $merge."""
        stages = event.command.get("pipeline", ()) if event.command_name == "aggregate" else ()
        if event.command_name not in READS or any({"$out", "$merge"} & stage.keys() for stage in stages):
            self.seen.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""

    def check(self) -> None:
        """Raise Refused if anything was written."""
        if self.seen:
            raise Refused(f"a dry run sent {self.seen[0]!r} to the server; it was stopped", hint="report this as a bug")
