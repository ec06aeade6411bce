"""Files and directories that nobody but their owner may read, lock, replace or redirect."""
