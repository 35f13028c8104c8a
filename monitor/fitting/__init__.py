"""From a classifier and its data to a detector bundle."""
