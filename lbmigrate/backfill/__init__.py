"""The history into the ledger, and from there into entries."""
