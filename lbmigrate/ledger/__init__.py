"""The only writers of events and entries."""
