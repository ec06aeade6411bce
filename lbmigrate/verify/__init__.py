"""Entries against the ledger, by code that shares nothing with what wrote them."""
