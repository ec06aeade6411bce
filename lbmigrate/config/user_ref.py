"""How a source names its user."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from lbmigrate.config.base import Model
from lbmigrate.config.types import Path

LONGEST_PREFIX = 100  # characters
USERS = "users."  # what a field of the users begins with, whatever their collection is called


class UserRef(Model):
    """Where a source names its user; `as` makes mixed id types one.

    `strip` is what stands before the id in a text, as in the pointers of Parse: `_User$`. With `lookup` (`users.email`)
    the path holds what the user's document has in that field, in any case, and the id is that document's key.
    """

    path: Path
    coerce: Literal["objectId", "string"] | None = Field(default=None, alias="as")
    strip: Annotated[str, Field(min_length=1, max_length=LONGEST_PREFIX)] | None = None
    lookup: Path | None = None

    @model_validator(mode="after")
    def _a_field_of_the_users(self) -> UserRef:
        if self.lookup is None:
            return self
        if not self.lookup.startswith(USERS):
            field = self.lookup.partition(".")[2] or self.lookup
            raise ValueError(
                f"{self.lookup} does not begin with `users.`, which stands for the section `users` of this file, "
                f"whatever its collection is called; say {USERS}{field}"
            )
        if self.strip is not None:
            raise ValueError(
                "`lookup` and `strip` do not go together: `lookup` compares the whole value; leave out `strip`"
            )
        return self

    @property
    def looked_up(self) -> str | None:
        """The field of the user's document that holds what the path holds."""
        return self.lookup.removeprefix(USERS) if self.lookup else None

    @model_serializer(mode="wrap")
    def _as_before(self, full: Any) -> Any:
        """Digests of rules that are kept already know nothing of what is left out."""
        return {key: value for key, value in full(self).items() if key in ("path", "as", "coerce") or value is not None}


Named = Annotated[
    UserRef,
    BeforeValidator(
        lambda value: {"path": value} if isinstance(value, str) else value, json_schema_input_type=Path | UserRef
    ),
]
