"""One resumable walk over a source: what it reads, how that is cut into chunks, and where it has come to."""
