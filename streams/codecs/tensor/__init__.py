"""Format ``tensor``: raw numbers, described by headers or by the config."""
