"""How an app names a document, and how its source does."""

from __future__ import annotations

from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.rules.event import check_source_id
from lbmigrate.run.context import Context
from lbmigrate.values.ids import id_type, parse_id, plain_id


def named_as_its_source(context: Context, source: Source, given: Any) -> Any:
    """An id as the source has it: web frameworks hand an ObjectId on as its digits.

    Where no document can be seen yet, it is of the type that others of the source have.
    """
    check_source_id(given)
    forms = parse_id(given) if isinstance(given, str) else [given]
    if len(forms) == 1 or source.unwind:
        return plain_id(given)
    documents = context.sources[source.collection]
    found = documents.find_one({"_id": {"$in": forms}}, {"_id": 1})
    if found:
        return found["_id"]
    other = documents.find_one({}, {"_id": 1}) or {}
    return plain_id(next((form for form in forms if id_type(form) == id_type(other.get("_id"))), given))
