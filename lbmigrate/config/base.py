"""What all models of the configuration have in common."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Model(BaseModel):
    """Frozen, and strict about names: a mistyped key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built once, as parts of Config

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """Take a key left empty (`redis:`) for a key left out, unless nothing is something that it may be."""
        if not isinstance(value, dict):
            return value
        never_none = {name for name, field in cls.model_fields.items() if type(None) not in get_args(field.annotation)}
        return {key: item for key, item in value.items() if item is not None or key not in never_none}
