"""The order in which a server gives users, whatever types their ids have."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from lbmigrate.records import Document
from lbmigrate.values.brackets import TYPES, rank

OBJECT_IDS = TYPES.index("objectId")


def place(user: Any) -> tuple[int, Any]:
    """Where a user stands: of two users the one with the smaller place comes first."""
    if type(user) is ObjectId:
        return OBJECT_IDS, user.binary
    value = user.bytes if hasattr(user, "bytes") and not isinstance(user, bytes) else user
    return rank(user), bytes(value) if isinstance(value, bytes) else value


def behind(after: Any) -> Document:
    """The condition for rows of users behind this one; for all rows where it is None."""
    if after is None:
        return {}
    return {"$or": [{"userId": {"$gt": after}}, *({"userId": {"$type": kind}} for kind in TYPES[rank(after) + 1 :])]}
