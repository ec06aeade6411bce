"""What a roll-up came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rolled:
    """What a roll-up of some users did: entries inserted, changed, and found right as they were."""

    users: int = 0
    inserted: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def written(self) -> int:
        return self.inserted + self.changed

    def __add__(self, other: Rolled) -> Rolled:
        return Rolled(
            self.users + other.users,
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
        )
