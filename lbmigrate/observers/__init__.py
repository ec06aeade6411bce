"""Others who listen to a run: programs of the operator's own, and those who collect metrics. None of them stops it."""
