"""What forbids or endangers a run: the server, the rights, the data."""
