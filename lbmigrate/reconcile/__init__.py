"""Sources that changed: what they are worth now, and the adjustments that follow."""
