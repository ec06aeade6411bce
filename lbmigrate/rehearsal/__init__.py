"""The dry run: what it came to, and how that differs from what was expected."""
