"""How a source says when an action happened: a field, epoch numbers, or a field and a duration after it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer

from lbmigrate.config.base import Model
from lbmigrate.config.types import Path, UnitName


class Duration(Model):
    """A field that holds how long something took."""

    path: Path
    unit: UnitName


class At(Model):
    """A field that holds a time; with `plus` what took that long from then on was done.

    `epoch` is the unit in which numbers, and texts that are numbers, count since 1970; without it numbers are seconds
    or milliseconds by their size, and such texts are no times. Any field but the first is approximate unless `exact`.
    """

    path: Path
    epoch: Literal["seconds", "ms", "us", "ns"] | None = None
    plus: Duration | None = None
    exact: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Every field that is read."""
        return (self.path, *([self.plus.path] if self.plus else []))

    @property
    def is_plain(self) -> bool:
        """Whether the field alone says when."""
        return self.epoch is None and self.plus is None

    @model_serializer(mode="wrap")
    def _as_written(self, full: Any) -> Any:
        """A path alone is a text: digests of rules and `config show` have it as files do."""
        return self.path if self.is_plain and not self.exact else full(self)


def _mapping(value: Any) -> Any:
    return value if isinstance(value, dict | At) else {"path": value}


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict | At) else value


Times = Annotated[
    tuple[Annotated[At, BeforeValidator(_mapping, json_schema_input_type=Path | At)], ...],
    BeforeValidator(_listed, json_schema_input_type=Path | list[Path | At] | At),
    Field(min_length=1),
]
