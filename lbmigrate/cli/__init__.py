"""The door: verbs, options, exit codes."""

from lbmigrate.cli.seam import main

__all__ = ["main"]
