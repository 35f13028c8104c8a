"""From a closed window to a settled verdict."""
