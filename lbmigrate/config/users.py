"""What the configuration says of users: where they are, what is shown of them, and who is not shown.

What hides never fails open: a value that nobody has foreseen hides, and so does one of several that says so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lbmigrate.config.base import Model
from lbmigrate.config.types import SHOWN, Chain, Collection, Path

Unforeseen = Literal["hide", "show"]
Nobody = Literal["hide", "anonymous", "show"]


def _plain(value: Any) -> Any:
    """Refuse at once what is no plain value; pydantic would complain about it once for each type."""
    if isinstance(value, bool | int | float | str) and value == value:  # noqa: PLR0124 - NaN equals nothing
        return value
    raise ValueError(f"must be text, a number, true or false, not {str(value)[:SHOWN]}")


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


PlainValue = Annotated[
    bool | int | float | str, BeforeValidator(_plain, json_schema_input_type=bool | int | float | str)
]


class Condition(Model):
    """What a field of a user's document says: that it has this value, one of these, or any that is not null.

    Of an array each element counts. Texts are compared without regard to case. `negate` turns the answer round.
    """

    path: Path
    equals: PlainValue | None = None
    one_of: Annotated[tuple[PlainValue, ...], Field(min_length=1)] | None = Field(default=None, alias="in")
    exists: bool | None = None
    negate: bool = False

    @model_validator(mode="after")
    def _one_question(self) -> Condition:
        if sum(each is not None for each in (self.equals, self.one_of, self.exists)) != 1:
            raise ValueError("give one of `equals`, `in` and `exists`")
        return self

    @property
    def wanted(self) -> tuple[bool | int | float | str, ...]:
        """The values of which one is enough; none where it is only asked whether there is any."""
        return self.one_of or (() if self.equals is None else (self.equals,))


Conditions = Annotated[
    tuple[Condition, ...], BeforeValidator(_one_or_more, json_schema_input_type=Condition | list[Condition])
]


class Settings(Model):
    """A collection with a document for each setting of a user. `key` holds whose it is, `where` which setting."""

    collection: Collection
    key: Path
    where: dict[Path, PlainValue] = Field(default_factory=dict)
    updated: Path | None = None


class OptOut(Model):
    """Who does not want to be on the board. `missing` is what an absent field means: a legal choice, so no default.

    It is for fields that say yes or no. For words such as `private` and `friends` say in `hidden` which of them hide;
    `unknown` is what a value means that is neither yes nor no. With `from` the field is not one of the user's own
    document.
    """

    path: Path
    missing: bool
    negate: bool = False
    unknown: Unforeseen = "hide"
    settings: Settings | None = Field(default=None, alias="from")


class Users(Model):
    """The users, and what the board shows of them. `updated` grows when a user changes: a backfill looks there.

    `timezone` holds the zone by whose clocks a user's days are told: an IANA name, or an offset such as +05:45.

    Whoever meets one of `hidden` is not shown, whoever meets one of `anonymous` without name and avatar. `missing` says
    that of those whose document is not there; without it they are like users in whose document nothing is set.
    """

    collection: Collection = "users"
    key: Path = "_id"
    display_name: Chain = ()
    avatar: Chain = ()
    opt_out: OptOut | None = None
    hidden: Conditions = ()
    anonymous: Conditions = ()
    missing: Nobody | None = None
    timezone: Path | None = None
    updated: Path | None = None

    @property
    def settings(self) -> Settings | None:
        """Where wishes are kept apart from the users."""
        return self.opt_out.settings if self.opt_out else None
