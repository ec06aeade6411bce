"""What of a backup comes back. Whoever can change a backup can recompute its digests, so it is not believed.

Only collections that a backup of ours holds are restored. Options and indexes that would change what becomes of
documents are left out, and that is told; of the app's own collections they come back when it is known (by a digest that
was kept elsewhere, or by a key) that the backup is as it was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lbmigrate.backup.manifest import Entry, Manifest
from lbmigrate.errors import Refused
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, INDEXES, REJECTS, VALIDATORS, base_of, is_current
from lbmigrate.schema.layout import is_partition

VALIDATION = frozenset({"validator", "validationLevel", "validationAction"})
# What a plain collection and its indexes may have without documents vanishing, or being refused, because of it.
OPTIONS = frozenset({"collation", "clusteredIndex"})
INDEX_OF_OURS = frozenset({"v", "key", "name", "ns", "background", "hidden"})
INDEX = INDEX_OF_OURS | frozenset({
    "unique", "sparse", "partialFilterExpression", "collation", "weights", "default_language", "language_override",
    "textIndexVersion", "2dsphereIndexVersion", "bits", "min", "max", "wildcardProjection", "clustered",
})  # fmt: skip
NO_COLLECTION = ("viewOn", "pipeline", "timeseries")
OTHER = "no backup of this configuration holds it"


@dataclass(frozen=True, slots=True)
class Shape:
    """A collection as it comes back: its options, its indexes, and a sentence for each that is left out."""

    options: Document
    indexes: tuple[Document, ...]
    left_out: tuple[str, ...]


def refuse_strangers(context: Context, manifest: Manifest) -> None:
    """Raise Refused when a backup says that it holds what this configuration would not put into one."""
    config = context.config
    own = [each.collection for each in manifest.collections if is_partition(each.collection)]
    ours = [config.flag.collection, EVENTS, ENTRIES, REJECTS, *own, *(config.collections if manifest.sources else ())]
    expected = {(manifest.state_database, context.state.rows.name), *((manifest.database, name) for name in ours)}
    found = [(entry.database, entry.collection) for entry in manifest.collections]
    strange = [f"{database}.{name}" for database, name in found if (database, name) not in expected]
    if strange or len({*found}) < len(found):
        names = ", ".join(strange) or "a collection twice"
        hint = "name the configuration that it was made with (--config FILE), or take another backup: lbmigrate backup"
        raise Refused(f"the backup holds {names}: {OTHER}; nothing was restored", hint)


def shape(entry: Entry, metadata: Any, is_ours: bool, proven: bool) -> Shape:
    """What of a collection's options and indexes comes back. Raises Refused when they are of no plain collection."""
    options, indexes = _parts(entry, metadata)
    if is_ours:
        kept, specs = _options_of_ours(entry.collection, options), [_index_of_ours(entry, spec) for spec in indexes]
    elif proven:
        return Shape(options, tuple(indexes), ())
    else:
        kept, specs = _only(options, OPTIONS), [_only(spec, INDEX) for spec in indexes]
    left = [f"{entry.collection} had {name}" for name in _changed(options, kept)]
    for before, after in zip(indexes, specs, strict=True):
        left += [f"{entry.collection}.{before['name']} had {name}" for name in _changed(before, after)]
    return Shape(kept, tuple(specs), tuple(left))


def _parts(entry: Entry, metadata: Any) -> tuple[Document, list[Document]]:
    found: Document = metadata if isinstance(metadata, dict) else {}
    options: Any = found.get("options")
    indexes: Any = found.get("indexes")
    fine = isinstance(options, dict) and isinstance(indexes, list) and all(map(_is_index, indexes))
    if not fine or found.get("type", "collection") != "collection" or any(name in options for name in NO_COLLECTION):
        what = f"the backup says that {entry.collection} is no plain collection: {OTHER}; nothing was restored"
        raise Refused(what, "take another backup: lbmigrate backup")
    return options, indexes


def _is_index(spec: Any) -> bool:
    return isinstance(spec, dict) and isinstance(spec.get("name"), str) and isinstance(spec.get("key"), dict)


def _options_of_ours(name: str, options: Document) -> Document:
    """Our validator of today in the place of any: documents that are older than it come back all the same."""
    validator = VALIDATORS.get(base_of(name))
    if validator and is_current(name, options.get("validator")):
        return {"validator": options["validator"]}
    return {"validator": validator} if validator and "validator" in options else {}


def _index_of_ours(entry: Entry, spec: Document) -> Document:
    keys = tuple(spec["key"].items())
    usual = [index.options for index in INDEXES if (index.collection, index.keys) == (base_of(entry.collection), keys)]
    return {**_only(spec, INDEX_OF_OURS), **(usual[0] if usual else {})}


def _only(found: Document, names: frozenset[str]) -> Document:
    return {name: value for name, value in found.items() if name in names}


def _changed(before: Document, after: Document) -> Iterator[str]:
    """What is there no more, or not as it was; how strictly our own validator is applied is as usual."""
    for name, value in before.items():
        usual = name in VALIDATION and "validator" in after and value in ("strict", "error")
        if after.get(name) != value and not usual:
            yield f"{name}: {value}"
