"""What became of a message: how it stands, what is kept of its end, and what its ticket wants done with it."""
