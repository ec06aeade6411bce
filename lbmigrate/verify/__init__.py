"""Entries against the ledger, by code that shares nothing with what wrote them."""

UNDER_WAY = "verification"  # the row of one that is not at its end
