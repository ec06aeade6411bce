"""How fast the backfill is, and how much memory it takes, beside what else one could do."""
