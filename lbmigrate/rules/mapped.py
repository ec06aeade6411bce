"""The paths that the mapping of a source names."""

from __future__ import annotations

from lbmigrate.config.model import Let, Source
from lbmigrate.rules.unwind import id_paths


def paths(source: Source) -> tuple[str, ...]:
    """Every path that scoring reads besides `_id`, each once; with `unwind` also those that name the elements."""
    named = [source.user.path, *(path for at in source.moments for path in at.paths)]
    named += [path for let in source.let.values() for path in let_paths(let)]
    named += source.meta.values()
    named += id_paths(source)
    return tuple(dict.fromkeys(named))


def let_paths(let: Let) -> tuple[str, ...]:
    """The paths that `let` reads."""
    return let.between or let.path or ()
