"""What the app reads: the board, and what it shows of a user."""
