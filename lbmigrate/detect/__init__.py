"""A database that nobody described: what its collections seem to be, with the evidence, as a configuration."""
