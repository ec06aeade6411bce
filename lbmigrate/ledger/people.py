"""The users of a roll-up, each read once: what is shown of them, and by which clocks their days are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from lbmigrate.board.profiles import ZONE, of_document, profiles_of
from lbmigrate.records import Document
from lbmigrate.rules.clocks import Clocks
from lbmigrate.run.context import Context
from lbmigrate.state import layouts


class People:
    """What is known of the users of one attempt of a roll-up.

    Where users have zones of their own, they are read with the events, before their days can be told; else after them.
    What was read stays for the attempt, so an entry shows the zone by which it was computed.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._shown: dict[Any, Document] = {}

    def clocks(self, users: Sequence[Any]) -> Clocks:
        """The clocks of these users. Nobody is read unless the configuration says where users keep their zones."""
        config = self._context.config
        starts = config.day_begins // dt.timedelta(milliseconds=1)
        if not config.users.timezone:
            return Clocks(config.timezone, starts)
        shown = self.shown(dict.fromkeys(users))
        own = {user: zone for user, each in shown.items() if (zone := each[ZONE])}
        return Clocks(config.timezone, starts, own)

    @property
    def moments(self) -> bool:
        """Whether entries are to say since when their scores are what they are."""
        return bool(layouts.layout(self._context.state).orders)

    def shown(self, users: Iterable[Any]) -> dict[Any, Document]:
        """The snapshot fields of each of these users, who are different ones."""
        users = list(users)
        if unknown := self.unread(users):
            self._shown |= profiles_of(self._context.sources, self._context.config, unknown)
        return {user: self._shown[user] for user in users}

    def unread(self, users: Iterable[Any]) -> list[Any]:
        """Those of the users who were not read yet."""
        return [user for user in users if user not in self._shown]

    def note(self, users: Sequence[Any], found: Iterable[Document]) -> None:
        """Take in the documents of these users, read by somebody else: all that have the very ids (`profiles_of`)."""
        config = self._context.config
        documents = (of_document(config.users, each) for each in found)
        self._shown |= profiles_of(self._context.sources, config, users, documents)
