"""What one worker sustains on the user's own broker, Redis, bundle and config."""
