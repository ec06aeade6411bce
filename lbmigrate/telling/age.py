"""How long ago something was, in words."""

from __future__ import annotations

import datetime as dt


def ago(span: dt.timedelta) -> str:
    """How long ago something was, in its largest unit: `6 d ago`, `3 h ago`."""
    seconds = max(0, int(span.total_seconds()))
    size, unit = next(((s, u) for s, u in ((86400, "d"), (3600, "h"), (60, "min")) if seconds >= s), (1, "s"))
    return f"{seconds // size} {unit} ago"
