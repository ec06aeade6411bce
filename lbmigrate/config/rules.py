"""What is wrong with the rules of a file beyond their shape: formulas, functions that nobody allows, filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

from lbmigrate.config import filters
from lbmigrate.errors import Problem
from lbmigrate.values import formula

GROUP = "lbmigrate.functions"  # an installed package that names a module here allows it


def problems_of(data: dict[str, Any], allowed: Collection[str]) -> Iterator[Problem]:
    """Problems of every source's rules, also in a file that has others. Imports nothing."""
    for index, source in enumerate(_sources(data)):
        place = f"sources[{index}]"
        yield from filters.problems_of(source.get("where"), f"{place}.where")
        points, let = source.get("points"), source.get("let") or {}
        if isinstance(points, str) and isinstance(let, dict):
            complaint = _complaint(points, [name for name in let if isinstance(name, str)], allowed)
            if complaint:
                yield Problem(f"{place}.points", complaint)


def allowed_modules(given: str | Iterable[str] | None, environ: Mapping[str, str], data: Any) -> frozenset[str]:
    """The modules that points functions may be from: those `given`, else those of the variable, and installed ones.

    What is installed is looked up only where `data` names a function.
    """
    words = environ.get(formula.ALLOWING, "") if given is None else given
    named = words.split(",") if isinstance(words, str) else words
    said = frozenset(filter(None, (module.strip() for module in named)))
    asked = {formula.module_of(points) for points in _functions(data)}
    return said if asked <= said else said | _installed()


def _installed() -> frozenset[str]:
    return frozenset(entry.module for entry in metadata.entry_points(group=GROUP))


def _functions(data: Any) -> Iterator[str]:
    for source in _sources(data):
        points = source.get("points")
        if isinstance(points, str) and formula.is_function(points):
            yield points


def _sources(data: Any) -> Iterator[dict[str, Any]]:
    """The sources; an empty mapping for what is none, so that the others keep their places."""
    sources = data.get("sources") if isinstance(data, dict) else None
    for source in sources if isinstance(sources, list) else []:
        yield source if isinstance(source, dict) else {}


def _complaint(points: str, names: Collection[str], allowed: Collection[str]) -> str | None:
    if not formula.is_function(points):
        return formula.check(points, names)
    module = formula.module_of(points)
    return None if module in allowed else formula.refusal(module)
