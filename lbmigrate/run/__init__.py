"""One run's surroundings: connection, context, limits, workers, and what makes it wait."""
