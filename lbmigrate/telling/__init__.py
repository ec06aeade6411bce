"""What may be said: text of others made harmless, secrets left out."""
