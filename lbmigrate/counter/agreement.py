"""What a comparison with an older counter comes to. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass

CLOSE = 0.01  # a share of the larger of two numbers within which they nearly agree


@dataclass(frozen=True, slots=True)
class Differs:
    """One user whose two numbers differ. None where there is no entry, or no counter."""

    user: str
    name: str | None
    counter: float | None
    score: int | None
    why: str

    @property
    def difference(self) -> float:
        """The score less the counter; what is not there is 0."""
        return (self.score or 0) - (self.counter or 0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the comparison came to. Figures count users.

    `both` have a counter and an entry: of them `equal` have one number, `close` differ by at most CLOSE, `higher` have
    more points on the board, `lower` fewer. `only_counter` have a counter that is not 0, and no entry; `only_board` an
    entry and no counter. `unreadable` counters are no numbers, `unnamed` have no id; `repeated` are the further ones of
    a user with several, of which the largest counts; `left` were forgotten. `spearman` and `kendall` are
    told from `drawn` users who have both. `ratio` is the middle of counter by score where one factor explains nearly
    all. `told` says in sentences what it may mean.
    """

    counter: str
    counters: int = 0
    both: int = 0
    equal: int = 0
    close: int = 0
    higher: int = 0
    lower: int = 0
    only_counter: int = 0
    only_board: int = 0
    unreadable: int = 0
    unnamed: int = 0
    repeated: int = 0
    left: int = 0
    drawn: int = 0
    spearman: float | None = None
    kendall: float | None = None
    ratio: float | None = None
    differ: tuple[Differs, ...] = ()
    without_counter: tuple[Differs, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of users with both whose numbers are equal; 0 where nobody has both."""
        return self.equal / self.both if self.both else 0.0
