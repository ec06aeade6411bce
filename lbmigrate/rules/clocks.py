"""By which clocks the days of users are told: one zone for everybody, and zones of their own for some. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.local_days import local_days, put_back
from lbmigrate.rules.numbered import Ints


@dataclass(frozen=True, slots=True)
class Clocks:
    """The zone of everybody, `own` for those users who have another, and how long after midnight a day begins.

    Zones are as `local_days` takes them, `starts` are milliseconds.
    """

    zone: str = "UTC"
    starts: int = 0
    own: Mapping[Any, str] = field(default_factory=dict)

    def days(self, users: Sequence[Any], utc: npt.NDArray[np.datetime64]) -> Ints:
        """The days, counted from 1970-01-01, on which times (naive UTC) fall for their users, in step."""
        if not self.own:
            return local_days(utc, self.zone, self.starts)
        days = np.empty(len(utc), dtype=np.int64)
        for zone, rows in self._by_zone(users):
            days[rows] = local_days(utc[rows], zone, self.starts)
        return days

    def put_back(self, users: Sequence[Any], utc: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
        """Whether a time before each of these may be of a later day for its user: clocks were put back in between."""
        if not self.own:
            return put_back(utc, self.zone)
        found = np.empty(len(utc), dtype=np.bool_)
        for zone, rows in self._by_zone(users):
            found[rows] = put_back(utc[rows], zone)
        return found

    def _by_zone(self, users: Sequence[Any]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
        """Which rows are of users of each zone."""
        zones = list(dict.fromkeys([self.zone, *self.own.values()]))
        places = {zone: place for place, zone in enumerate(zones)}
        of_user = {user: places[zone] for user, zone in self.own.items()}
        rows = np.fromiter((of_user.get(user, 0) for user in users), dtype=np.int64, count=len(users))
        return ((zones[place], rows == place) for place in np.unique(rows).tolist())
