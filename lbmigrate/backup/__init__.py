"""Backups: making them, what they hold, and bringing them back."""

PREFIX = "lbmigrate_restore."  # of collections that a restore is filling
