"""What the in-memory database is not known to do as a server does."""

from __future__ import annotations


class Unfaithful(ValueError):
    """Says which operator of a filter, or which operand of it, may mean something else on a server."""
