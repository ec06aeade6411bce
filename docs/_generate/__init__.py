"""Writes the pages of the reference that follow from the code: `python -m docs._generate`; a test compares them."""
