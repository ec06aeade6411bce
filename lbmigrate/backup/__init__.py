"""Backups: making them, what they hold, and bringing them back."""
