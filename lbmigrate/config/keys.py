"""What each key of a configuration means, in words and with an example; the models know only what it may be."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel

WORDS = resources.files("lbmigrate.config") / "keys.yaml"


@cache
def words() -> dict[str, dict[str, dict[str, Any]]]:
    """Return for each model, by its name, and for each of its keys `means`, `example` and perhaps `beside`."""
    found: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(WORDS.read_text("utf-8"))
    return found


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema with the words of each key, for editors that show them."""
    parts = {**schema.get("$defs", {}), schema["title"]: schema}
    for name, part in parts.items():
        for key, about in words().get(name, {}).items():
            part["properties"][key] |= {"description": about["means"], "examples": [about["example"]]}
    return schema


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys of a model as a file writes them, each with the name of its field."""
    return {field.alias or name: name for name, field in model.model_fields.items()}
