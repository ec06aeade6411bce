"""Why one user's score is what it is: the entry, the ledger, and what the sources say now, side by side."""
