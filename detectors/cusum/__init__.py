"""A CUSUM on ranks: quick to see a small change that lasts, with a promised run-time."""
